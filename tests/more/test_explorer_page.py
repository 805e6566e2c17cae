"""The explorer in a real browser: its mathematics, its models, every control, how it looks.

Needs a Chromium that is installed already (Debian: apt-get install chromium) and playwright's
client (requirements-more.txt); nothing is downloaded. The picture in the README is made by

    EXPLORER_PICTURE=assets/explorer.png python -m pytest tests/more -k picture_for_the_readme
"""

import base64
import json
import math
import os
import random
import re
import shutil

import pytest
import torch

import maxrl
from data.tokenizer import END, encode
from explorer import build
from model import GPT, ModelConfig, logprobs

playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright==1.65.2")

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
if not CHROMIUM:
    pytest.skip("no Chromium: apt-get install -y chromium, then again", allow_module_level=True)

URL = build.PAGE.as_uri()
FLAGS = (
    "--no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
METHODS = (  # those that the page has; a method of one's own in maxrl.py need not be in it
    "reinforce rloo grpo maxrl maxrl-raw maxrl-loo passk maxrl-std rft"
).split()
PARTS = ("series", "group", "weights", "race", "models", "results")
WIDTHS, THEMES = (360, 768, 1440), ("light", "dark")


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser):
    """open_page("#weights?k=16"): a page of its own. At the end no page may have said a word on the
    console, thrown anything, or asked for anything but itself."""
    words, contexts = [], []

    def answer(route):
        if route.request.url.split("#")[0] == URL:
            return route.continue_()
        words.append(f"asked for {route.request.url}")
        return route.abort()

    def call(fragment="", width=1440, theme="light", motion="reduce", **options):
        # A page that still scrolls smoothly is elsewhere by the time a test presses a place of it.
        options |= {"color_scheme": theme, "reduced_motion": motion}
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        context.route("**/*", answer)
        page.on("console", lambda message: words.append(message.text))
        page.on("pageerror", lambda error: words.append(str(error)))
        page.goto(URL + fragment)
        return page

    yield call
    for context in contexts:
        context.close()
    assert words == []


def close(ours, theirs, tolerance=1e-9):
    """Relative to the size of the number, absolute below 1."""
    return abs(ours - theirs) <= tolerance * max(1.0, abs(theirs))


# ------------------------------------------------------------------------------ the mathematics


def groups_at_random(rng, name):
    B, k = rng.randint(1, 4), rng.randint(1, 33)
    fractions = name in ("maxrl-loo", "reinforce", "rloo") and rng.random() < 0.3
    p = rng.choice((0.02, 0.3, 0.9))
    draw = rng.random if fractions else lambda: float(rng.random() < p)
    rewards = [[draw() for _ in range(k)] for _ in range(B)]
    order = rng.choice((None, rng.randint(1, k))) if name in maxrl.ORDERED else None
    return [name, rewards, order]


def test_advantages_of_thousands_of_groups(open_page):
    rng = random.Random(0)
    cases = [groups_at_random(rng, name) for name in METHODS for _ in range(300)]
    found = open_page().evaluate(
        "cases => cases.map(([name, r, order]) => maxrl.advantages(name, r, order))", cases
    )
    for (name, rewards, order), ours in zip(cases, found, strict=True):
        options = {} if order is None else {"order": order}
        theirs = maxrl.ADVANTAGES[name](torch.tensor(rewards, dtype=torch.float64), **options)
        worst = (torch.tensor(ours, dtype=torch.float64) - theirs).abs()
        assert (worst <= 1e-9 * theirs.abs().clamp(min=1)).all(), (name, rewards, order)


def test_weights_are_the_enumerated_ones(open_page):
    rng = random.Random(1)
    cases = []
    for name in METHODS:
        for k in (1, 2, 3, 8, 17, 64):
            orders = (None, rng.randint(1, k)) if name in maxrl.ORDERED else (None,)
            ps = (rng.random(), 10 ** rng.uniform(-5, -1), 1 - 10 ** rng.uniform(-5, -1))
            cases += [[name, p, k, order] for p in ps for order in orders]
    found = open_page().evaluate("cases => cases.map(args => maxrl.weight(...args))", cases)
    for args, ours in zip(cases, found, strict=True):
        theirs, _ = maxrl.enumerated_weight(*args)
        assert math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-12), args


def test_weights_of_large_groups_and_at_the_ends(open_page):
    page = open_page()
    for name in ("reinforce", "rloo", "maxrl", "maxrl-raw", "maxrl-loo", "passk"):
        for k in (2, 100, 1024):
            for p in (0.0, 1e-6, 0.03, 0.5, 1 - 1e-4, 1.0):
                exact = torch.tensor(p, dtype=torch.float64)
                theirs = maxrl.population_weight(name, exact, k).item()
                ours = page.evaluate("args => maxrl.weight(...args)", [name, p, k])
                assert math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-200), (name, k, p)
    assert page.evaluate("maxrl.weight('ce', [.5, .01], 8)") == [2, 100]
    assert page.evaluate("maxrl.weight('exact', .5, 8, 2)") == 1.5


def test_objectives(open_page):
    ps = [10**x for x in (-12, -6, -3, -1)] + [0.5, 0.9, 1 - 1e-9, 1.0]
    cases = [[p, T] for p in ps for T in (1, 2, 3, 10, 100, 10_000)]
    found = open_page().evaluate("cases => cases.map(([p, T]) => maxrl.objective(p, T))", cases)
    for (p, T), ours in zip(cases, found, strict=True):
        theirs = maxrl.objective(torch.tensor(p, dtype=torch.float64), T).item()
        assert math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-300), (p, T)
    assert open_page().evaluate("maxrl.objective(.25, Infinity)") == math.log(0.25)


def test_pass_at_k(open_page):
    rng = random.Random(2)
    cases = [[n, rng.randint(0, n), rng.randint(1, n)] for n in range(1, 200) for _ in range(10)]
    cases += [[100_000, 3, 50_000], [100_000, 100_000, 7], [100_000, 0, 100_000]]
    found = open_page().evaluate("cases => cases.map(args => maxrl.passAtK(...args))", cases)
    for args, ours in zip(cases, found, strict=True):
        assert close(ours, maxrl.pass_at_k(*args)), args


@pytest.mark.parametrize(
    "wrong",
    [
        "maxrl.advantages('nobody', [[1, 0]])",
        "maxrl.advantages('maxrl', [[1, .5]])",
        "maxrl.advantages('maxrl', [[1, 0], [1]])",
        "maxrl.advantages('maxrl-loo', [[1, 0]], 3)",
        "maxrl.advantages('maxrl', [[1, 0]], 1)",
        "maxrl.objective(.5, 1.5)",
        "maxrl.weight('maxrl', 2, 8)",
        "maxrl.passAtK(3, 1, 4)",
        "maxrl.passAtK(3, 4, 1)",
        "maxrl.logprob('nobody', '1+2=', '3')",
        "maxrl.logprob('base', '1+2^', '3')",
        "maxrl.logprob('base', '100+2=', '102')",
        "maxrl.logprob('base', '1+2=', '33333')",
    ],
)
def test_wrong_use_is_an_error(open_page, wrong):
    said = open_page().evaluate(
        f"(() => {{ try {{ {wrong}; }} catch (e) {{ return e.message }} }})()"
    )
    assert said


# ------------------------------------------------------------------------------------ the models


def models_of_the_page():
    content = json.loads((build.HERE / "models.json").read_text(encoding="utf-8"))
    for name, packed in content["models"].items():
        model = GPT(ModelConfig(**content["config"]))
        halves = bytearray(base64.b64decode(packed["weights"]))
        flat, at = torch.frombuffer(halves, dtype=torch.half).float(), 0
        for w in model.state_dict().values():
            w.copy_(flat[at : at + w.numel()].view_as(w))
            at += w.numel()
        yield name, model


@torch.no_grad()
def test_log_probabilities_are_those_of_model_py(open_page):
    page, rng = open_page(), random.Random(3)
    pairs = []
    for _ in range(60):
        a, b = rng.randint(0, 99), rng.randint(0, 99)
        said = str(rng.choice((a + b, rng.randint(0, 198))))
        pairs.append((f"{a:2}+{b:2}=", said))
    names = []
    for name, model in models_of_the_page():
        names.append(name)
        found = page.evaluate(
            "([name, pairs]) => pairs.map(pair => maxrl.logprob(name, ...pair))", [name, pairs]
        )
        for (prompt, said), ours in zip(pairs, found, strict=True):
            tokens = torch.tensor([encode(prompt)]), torch.tensor([[*encode(said), END]])
            theirs = logprobs(model, *tokens, END).item()
            assert close(ours, theirs, 1e-3), (name, prompt, said)
    assert page.evaluate("maxrl.models()") == names == ["base", "rloo", "grpo", "maxrl"]


def test_all_that_a_model_may_say_adds_up_to_one(open_page):
    total = open_page().evaluate(
        "[...Array(1000).keys()].map(x => maxrl.logprob('maxrl', '47+85=', String(x)))"
        ".reduce((sum, logp) => sum + Math.exp(logp), 0)"
    )
    assert 0.99 < total <= 1  # the rest begins with 0, has four digits, or is no number


def test_the_tree_counts_every_rollout(open_page):
    page = open_page("#models?k=1024&prompt=47%2B85%3D")
    card = page.locator(".card[data-model=base]")
    card.wait_for()
    right, k = re.search(r"([\d,]+) of ([\d,]+) right", card.inner_text()).groups()
    p = math.exp(page.evaluate("maxrl.logprob('base', '47+85=', '132')"))
    deviation = math.sqrt(1024 * p * (1 - p))
    assert k == "1,024" and abs(int(right.replace(",", "")) - 1024 * p) < 6 * deviation
    page.locator("#models").get_by_label("Tries, k, typed").fill("1")
    page.keyboard.press("Enter")
    playwright.expect(card).to_contain_text("of 1 right · 1 different")


# ------------------------------------------------------------------------------ what the page says


def drawn(page):
    """Wait until what was changed has been drawn, which happens at the next frame."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def columns(page):
    """Part 3's table: method -> the five cells of its column, as (weight, share)."""
    table = page.locator("#weights .share-table")
    table.wait_for()
    drawn(page)
    names = table.locator("thead th").all_inner_texts()[1:]
    lines = table.locator("tbody tr").all()[:5]
    cells = [[tuple(c.inner_text().split()) for c in line.locator("td").all()] for line in lines]
    return {name: list(column) for name, *column in zip(names, *cells, strict=True)}


def test_the_five_prompts_of_the_homework(open_page):
    """Weights and shares, worked out elsewhere: p = .0001, .01, .1, .5, .9 at k = 8."""
    page = open_page()
    found = columns(page)
    weights = {name: [weight for weight, _ in column] for name, column in found.items()}
    assert weights["REINFORCE"] == ["1"] * 5
    assert weights["GRPO"] == ["2.645", "2.609", "2.328", "1.856", "2.328"]
    assert weights["MaxRL"] == ["6.998", "6.793", "5.217", "1.984", "1.111"]
    assert weights["maximum likelihood"] == ["10,000", "100", "10", "2", "1.111"]
    shares = {name: [share for _, share in column] for name, column in found.items()}
    assert shares["REINFORCE"] == ["0.023%", "2.3%", "20.5%", "56.8%", "20.5%"]
    assert shares["GRPO"] == ["0.029%", "2.8%", "23.0%", "51.0%", "23.0%"]
    assert shares["MaxRL"] == ["0.062%", "5.9%", "41.4%", "43.8%", "8.8%"]
    assert shares["maximum likelihood"] == ["28.7%", "28.4%", "25.8%", "14.3%", "2.9%"]
    page.locator("#weights").get_by_text("weights, w", exact=True).click()
    assert columns(page)["maximum likelihood"][0] == ("10,000", "98.9%")


def number(page, label):
    """A cell of part 1 below its label."""
    cell = page.locator("#series .numbers div", has_text=label).locator("b").inner_text()
    return float(cell.replace("−", "-").replace(",", ""))


def test_the_numbers_of_the_series(open_page):
    page = open_page("#series?p=0.05&T=8")
    page.wait_for_function("document.querySelector('#series .numbers b').textContent !== ''")
    p = torch.tensor(0.05, dtype=torch.float64)
    assert close(number(page, "log p"), math.log(0.05), 1e-4)
    assert close(number(page, "sum of T"), maxrl.objective(p, 8).item(), 1e-4)
    assert close(number(page, "weight w(p)"), 6.7316, 1e-3)
    assert close(number(page, "pass@T"), maxrl.exact_pass_at_k(p, 8).item(), 1e-3)


def test_a_dead_group_and_the_mean_of_the_batch(open_page):
    page = open_page("#group?r=1000.1100.0000&more=1")
    table = page.locator("#group table")
    playwright.expect(table).to_contain_text("1 / (3/12)")
    playwright.expect(page.locator("#group .group").nth(2)).to_contain_text("dead")
    page.locator("#group .group").nth(2).locator(".box").nth(0).click()
    playwright.expect(table).to_contain_text("1 / (4/12)")  # rft: the mean of the whole batch
    playwright.expect(page.locator("#group .group").nth(2)).to_contain_text("mean 1/4")


def race(page, steps, kind="sampled"):
    page.locator("#race").get_by_text(kind, exact=True).click()
    for _ in range(steps // 100):
        page.locator("#race").get_by_role("button", name="100 steps").click()
    playwright.expect(page.locator("#race [data-slot=clock]")).to_have_text(f"step {steps}")
    return [lane.get_attribute("style") for lane in page.locator("#race .lane i").all()]


def test_the_race_repeats_itself_and_another_seed_differs(open_page):
    first, again, other = (race(open_page(f"#race?seed={seed}"), 200) for seed in (4, 4, 5))
    assert first == again != other
    expected, same = (race(open_page(f"#race?seed={seed}"), 200, "expected") for seed in (4, 5))
    assert expected == same


# ---------------------------------------------------------------------------------- every control


STATE = """id => {
    const section = document.getElementById(id);
    const parts = section.querySelectorAll("input, select, [aria-pressed], [role=slider], .lane i");
    const now = ["aria-pressed", "aria-valuenow"];
    const say = e => [e.value, e.checked, e.style.left, ...now.map(name => e.getAttribute(name))];
    return [section.innerText, ...[...parts].map(say)].join();
}"""


def state(page, part):
    """All that a part shows, as text, positions and pressed buttons, once it is drawn."""
    drawn(page)
    return page.evaluate(STATE, part)


def shown(page, part):
    """A part in view, all that it hides at first included."""
    page.locator(f"#{part}").scroll_into_view_if_needed()
    page.evaluate(
        "part => document.querySelectorAll(`#${part} details`).forEach(d => d.open = true)", part
    )
    if part == "models":
        page.locator(".card .big").first.wait_for()
    return page.locator(f"#{part}")


@pytest.mark.parametrize("part", PARTS)
def test_every_slider_by_mouse_by_key_and_by_typing(open_page, part):
    page = open_page()
    section = shown(page, part)
    for slider in section.locator("input[type=range]").all():
        slider.press("Home")
        before = state(page, part)
        slider.press("ArrowRight")
        keyed = state(page, part)
        slider.evaluate("e => e.scrollIntoView({ block: 'center', behavior: 'instant' })")
        box = slider.bounding_box()
        page.mouse.click(box["x"] + 0.3 * box["width"], box["y"] + box["height"] / 2)
        clicked = state(page, part)
        assert before != keyed and slider.get_attribute("aria-valuetext")
        page.mouse.click(box["x"] + 0.6 * box["width"], box["y"] + box["height"] / 2)
        assert state(page, part) != clicked
        field = slider.locator("xpath=../input[@type='text']")
        good = field.input_value()
        field.fill("-3")
        field.press("Enter")
        complaint = slider.locator("xpath=../../div[@role='alert']")
        playwright.expect(complaint).to_contain_text("number")
        field.fill("many")
        field.press("Enter")
        playwright.expect(complaint).to_contain_text("not a number")
        field.fill(good)
        field.press("Enter")
        playwright.expect(complaint).to_be_empty()


@pytest.mark.parametrize("part", PARTS)
def test_every_choice_by_mouse_and_by_key(open_page, part):
    page = open_page()
    section = shown(page, part)
    for group in section.locator("[role=radiogroup]").all():
        before = state(page, part)
        group.locator("label").nth(1).click()
        after = state(page, part)
        page.keyboard.press("ArrowLeft")
        assert before != after != state(page, part)
        assert group.locator("input").nth(0).is_checked()
    for chip in section.locator(".chip").all():
        was = chip.get_attribute("aria-pressed")
        chip.click()
        assert chip.get_attribute("aria-pressed") != was
        page.keyboard.press("Space")
        assert chip.get_attribute("aria-pressed") == was
    for select in section.locator("select").all():
        before = state(page, part)
        select.focus()
        page.keyboard.press("ArrowDown")
        assert state(page, part) != before


@pytest.mark.parametrize("part", PARTS)
def test_every_button_by_mouse_and_by_key(open_page, part):
    page = open_page()
    section = shown(page, part)
    for button in section.locator(".buttons button, .examples button").all():
        button.click()
        button.focus()
        page.keyboard.press("Enter")
    link = section.locator("h2 .link")
    link.click()
    playwright.expect(link).not_to_have_text("Copy link")
    assert page.evaluate("location.hash").startswith(f"#{part}?")


@pytest.mark.parametrize("part", ["series", "weights"])
def test_every_handle_by_mouse_and_by_key(open_page, part):
    page = open_page()
    section = shown(page, part)
    for handle in section.locator(".handle").all():
        handle.scroll_into_view_if_needed()
        handle.press("Home")
        for _ in range(3):
            handle.press("PageUp")
        drawn(page)
        value = lambda handle=handle: float(handle.get_attribute("aria-valuenow"))  # noqa: E731
        before = value()
        box = handle.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x - 25, y, steps=3)
        page.mouse.up()
        drawn(page)
        dragged = value()
        assert dragged < before
        for key in ("ArrowRight", "PageUp", "End"):
            last = value()
            page.keyboard.press(key)
            drawn(page)
            assert value() > last
        page.keyboard.press("Home")
        drawn(page)
        assert value() < dragged


def test_pressing_beside_the_line_brings_it_there(open_page):
    page = open_page()
    over = shown(page, "series").locator(".u-over").first
    box = over.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 40)
    drawn(page)
    found = float(page.locator("#series .handle").first.get_attribute("aria-valuenow"))
    assert 0.009 < found < 0.011


def test_boxes_by_mouse_and_by_key(open_page):
    page = open_page()
    boxes = shown(page, "group").locator(".group").nth(1).locator(".box")
    boxes.nth(7).click()
    assert boxes.nth(7).get_attribute("aria-pressed") == "true"
    boxes.nth(0).focus()
    page.keyboard.press("ArrowLeft")  # around to the last
    page.keyboard.press("Space")
    assert boxes.nth(7).get_attribute("aria-pressed") == "false"
    page.locator("#group .group > button").nth(1).click()
    playwright.expect(page.locator("#group thead")).to_contain_text("for prompt 2")


def test_the_race_plays_pauses_and_restarts(open_page):
    page = open_page(motion="no-preference")
    section = shown(page, "race")
    clock, play = section.locator("[data-slot=clock]"), section.locator(".primary")
    play.click()
    playwright.expect(play).to_have_text("Pause")
    playwright.expect(clock).not_to_have_text("step 0")
    play.press("Space")
    playwright.expect(play).to_have_text("Play")
    at = clock.inner_text()
    section.get_by_role("button", name="Step", exact=True).click()
    playwright.expect(clock).not_to_have_text(at)
    section.get_by_role("button", name="Restart").click()
    playwright.expect(clock).to_have_text("step 0")


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_the_race_is_seen_at_its_end_before_it_is_played(open_page, motion):
    page = open_page(motion=motion)
    shown(page, "race")
    playwright.expect(page.locator("#race [data-slot=clock]")).to_have_text("step 300")


def test_more_methods_are_shown_when_asked_for(open_page):
    page = open_page("#group?more=1")
    playwright.expect(page.locator("#group tbody tr")).to_have_count(len(METHODS))
    page.locator("#group summary").click()
    playwright.expect(page.locator("#group tbody tr")).to_have_count(4)
    link = open_page("#weights?show=maxrl,passk")
    playwright.expect(link.locator("#weights .more")).to_have_attribute("open", "")


def test_results_are_read_by_mouse_and_by_key(open_page):
    page = open_page()
    plot = shown(page, "results").locator(".plot")
    readout = page.locator("#results .readout")
    box = plot.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 60)
    playwright.expect(readout).to_contain_text("seed")
    read = readout.inner_text()
    plot.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    playwright.expect(readout).not_to_have_text(read)
    playwright.expect(page.locator("#results [data-slot=command]")).to_contain_text("train.py")
    page.locator("#results").get_by_role("button", name="None").click()
    playwright.expect(readout).to_contain_text("No run to show")


def test_every_experiment_and_measure_is_drawn(open_page):
    page = open_page()
    shown(page, "results")
    experiments, measures = page.locator("#results select").all()
    for experiment in experiments.locator("option").all():
        experiments.select_option(experiment.get_attribute("value"))
        for measure in measures.locator("option").all():
            measures.select_option(measure.get_attribute("value"))
            playwright.expect(page.locator("#results figcaption")).to_contain_text("runs")


def test_the_theme_by_the_system_and_by_the_button(open_page):
    background = "getComputedStyle(document.body).backgroundColor"
    page, dark = open_page(), open_page(theme="dark")
    light_color, dark_color = page.evaluate(background), dark.evaluate(background)
    assert light_color != dark_color
    page.locator("#theme").press("Enter")
    assert page.evaluate(background) == dark_color
    page.reload()
    assert page.evaluate(background) == dark_color  # remembered


def test_with_reduced_motion_the_race_moves_in_steps(open_page):
    page = open_page(motion="reduce")
    shown(page, "race").locator(".primary").click()
    playwright.expect(page.locator("#race [data-slot=clock]")).to_have_text("step 60")


def test_everything_has_a_name_for_a_screen_reader(open_page):
    page = open_page()
    for part in PARTS:
        shown(page, part)
    named = "button, input, select, a, [role=img], [role=slider]"
    nameless = page.evaluate(
        "named => [...document.querySelectorAll(named)].map(e => [e.outerHTML, "
        "e.getAttribute('aria-label') || e.innerText || e.labels?.[0]?.innerText])"
        ".filter(([_, name]) => !name)",
        named,
    )
    assert nameless == []
    assert page.locator("[aria-live]").count() >= len(PARTS)
    assert page.locator("h1").count() == 1 and page.locator("section > h2").count() == len(PARTS)


# ------------------------------------------------------------------------------- links and mistakes


def test_a_link_restores_what_was_shown(open_page):
    page = open_page()
    section = shown(page, "results")
    section.locator("select").nth(1).select_option("nll")
    section.locator(".chip").nth(0).click()
    section.get_by_text("log", exact=True).click()
    page.wait_for_function("location.hash.includes('measure=nll') && /y=log/.test(location.hash)")
    fragment = page.evaluate("location.hash")
    assert state(open_page(fragment), "results") == state(page, "results")


@pytest.mark.parametrize("fragment", ["#results", "#models?k=8", "#race?seed=1"])
@pytest.mark.parametrize("width", (360, 1440))
def test_a_link_goes_to_its_part(open_page, fragment, width):
    page = open_page(fragment, width)
    part = fragment[1:].split("?")[0]
    heading = f"document.querySelector('#{part} h2').getBoundingClientRect().top"
    bar = "document.querySelector('.bar').getBoundingClientRect().bottom"
    page.wait_for_function(f"{bar} <= {heading} && {heading} < {bar} + 100")


@pytest.mark.parametrize(
    "fragment, where, says",
    [
        ("#nowhere", "#problem", "does not have"),
        ("#series?p=2&T=x&colour=red", "#series .problem", "no “colour”"),
        ("#group?r=10.1", "#group .problem", "not groups"),
        ("#group?k=99", "#group .problem", "from 1 to 16"),
        ("#weights?p=1,2", "#weights .problem", "not five pass rates"),
        ("#weights?show=nobody", "#weights .problem", "no “nobody”"),
        ("#race?prompts=none&k=0", "#race .problem", "from 2 to"),
        ("#models?prompt=1%2B2%5E", "#models .problem", "cannot read"),
        ("#results?of=nothing&measure=none", "#results .problem", "no “nothing”"),
        ("#%E0%A4%A", "#problem", "does not have"),
    ],
)
def test_a_link_that_makes_no_sense_is_said_and_the_page_goes_on(open_page, fragment, where, says):
    page = open_page(fragment)
    playwright.expect(page.locator(where)).to_contain_text(says)
    slider = page.locator("#series input[type=range]").first
    before = state(page, "series")
    slider.press("ArrowRight")
    assert state(page, "series") != before


@pytest.mark.parametrize(
    "typed, says",
    [
        ("47^85=", "cannot read “^”"),
        ("47-85=", "not an addition"),
        ("", "not an addition"),
        ("470+85", "at most 2 digits"),
        ("forty", "cannot read “f”"),
    ],
)
def test_a_prompt_that_the_models_cannot_read(open_page, typed, says):
    page = open_page()
    section = shown(page, "models")
    field = section.get_by_label("Addition")
    field.fill(typed)
    playwright.expect(section.locator(".control.text .complaint")).to_contain_text(says)
    field.fill("8 + 30")
    playwright.expect(section.locator(".control.text .complaint")).to_be_empty()
    playwright.expect(section.locator(".card").first).to_contain_text("chance of 38")


# --------------------------------------------------------------------------------- how it looks


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", THEMES)
def test_screenshots(open_page, tmp_path, width, theme):
    """For people to look at. A machine sees that nothing is wider than the screen, or empty."""
    page = open_page(width=width, theme=theme)
    page.add_style_tag(content=".bar { position: static }")  # else it lies over what is scrolled
    for part in PARTS:
        shown(page, part)
        drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for part in PARTS:
        page.locator(f"#{part}").screenshot(path=tmp_path / f"{part}-{width}-{theme}.png")
        assert (tmp_path / f"{part}-{width}-{theme}.png").stat().st_size > 10_000


def test_picture_for_the_readme(open_page, tmp_path):
    """Part 3 with the five prompts, where the method is seen at a glance."""
    page = open_page("#weights?k=256", width=1120, device_scale_factor=1.5)
    page.add_style_tag(content=".bar { display: none }")
    drawn(page)
    path = os.environ.get("EXPLORER_PICTURE") or tmp_path / "explorer.png"
    page.locator("#weights .grid").screenshot(path=path)
