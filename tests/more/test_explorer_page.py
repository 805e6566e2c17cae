"""The explorer in a real browser: its mathematics, its models, every control, how it looks; and
its sources by a linter.

Needs a Chromium that is installed already (Debian: apt-get install chromium) and playwright's
client (requirements-dev.txt); nothing is downloaded. The picture in the README is made by

    EXPLORER_PICTURE=assets/explorer.png python -m pytest tests/more -k picture_for_the_readme
"""

import base64
import itertools
import json
import math
import os
import random
import re
import shutil
import subprocess
from contextlib import contextmanager

import pytest
import torch

import maxrl
from data.tokenizer import END, encode
from explorer import build
from model import GPT, ModelConfig, logprobs

playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright==1.65.2")

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), "")
if not CHROMIUM:
    pytest.skip("no Chromium: apt-get install -y chromium, then again", allow_module_level=True)

URL = build.PAGE.as_uri()
FLAGS = "--no-sandbox --disable-gpu --disable-background-networking --disable-sync".split()
# The methods that the page has. It need not have one that a reader adds to maxrl.py.
METHODS = "reinforce rloo grpo maxrl maxrl-raw maxrl-loo passk maxrl-std rft".split()
PARTS = ("race", "series", "group", "weights", "models", "results")
WIDTHS = (360, 768, 1440)
BROKEN = re.compile("undefined|NaN|Infinity|\\[object")
NPM = build.HERE / "node_modules"
NO_NPM = "no npm packages: apt-get install -y npm, then make test-more"


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@contextmanager
def opener(browser):
    """Opens pages. No page may say a word on the console, throw, or ask for anything but itself."""
    words, contexts = [], []

    def elsewhere(route):
        words.append(f"asked for {route.request.url}")
        route.abort()

    def call(fragment="", width=1440, height=900, clock=False, **options):
        # A page that still scrolls smoothly is elsewhere by the time a test presses a place of it.
        viewport = {"width": width, "height": height}
        context = browser.new_context(viewport=viewport, **{"reduced_motion": "reduce"} | options)
        contexts.append(context)
        context.route(lambda asked: asked.split("#")[0] != URL, elsewhere)
        page = context.new_page()
        page.set_default_timeout(120_000)
        if clock:
            page.clock.install(time=0)
            page.clock.pause_at(1000)  # time passes when a test says so
        page.on("console", lambda message: words.append(message.text))
        page.on("pageerror", lambda error: words.append(str(error)))
        page.goto(URL + fragment)
        return page

    yield call
    for context in contexts:
        context.close()
    assert words == []


@pytest.fixture
def open_page(browser):
    """open_page("#weights?k=16"): a page of its own."""
    with opener(browser) as call:
        yield call


@pytest.fixture(scope="module")
def page(browser):
    """One page for all tests that leave it usable for the next."""
    with opener(browser) as call:
        yield call()


def drawn(page):
    """Wait until what was changed has been drawn, which happens at the next frame."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def follow(page, fragment):
    """As if a link to this had been clicked."""
    page.evaluate(
        "fragment => new Promise(done => { history.replaceState(null, '', '#top');"
        "addEventListener('hashchange', done, { once: true }); location.hash = fragment })"
        ".then(() => {})",
        fragment,
    )
    drawn(page)


def called(page, cases):
    """What functions of window.maxrl return: (name, arguments, ...) each."""
    words = [case[:2] for case in cases]
    return page.evaluate("cases => cases.map(([f, words]) => maxrl[f](...words))", words)


def double(x):
    return torch.tensor(x, dtype=torch.float64)


def groups_at_random(rng, name):
    B, k = rng.randint(1, 4), rng.randint(1, 33)
    fractions = name in ("maxrl-loo", "reinforce", "rloo") and rng.random() < 0.3
    p = rng.choice((0.02, 0.3, 0.9))
    draw = rng.random if fractions else lambda: float(rng.random() < p)
    rewards = [[draw() for _ in range(k)] for _ in range(B)]
    order = rng.choice((None, rng.randint(1, k))) if name in maxrl.ORDERED else None
    return [name, rewards, order]


def test_advantages_of_many_groups(page):
    rng = random.Random(0)
    cases = [("advantages", groups_at_random(rng, name)) for name in METHODS for _ in range(100)]
    for (_, (name, rewards, order)), ours in zip(cases, called(page, cases), strict=True):
        options = {} if order is None else {"order": order}
        theirs = maxrl.ADVANTAGES[name](double(rewards), **options)
        worst = (double(ours) - theirs).abs()
        assert (worst <= 1e-9 * theirs.abs().clamp(min=1)).all(), (name, rewards, order)


def numbers_of_maxrl():
    """(function, arguments, what maxrl.py says), at small k by enumeration."""
    rng = random.Random(1)
    for name, k in itertools.product(METHODS, (1, 2, 3, 8, 17, 64)):
        orders = (None, rng.randint(1, k)) if name in maxrl.ORDERED else (None,)
        ps = (rng.random(), 10 ** rng.uniform(-5, -1), 1 - 10 ** rng.uniform(-5, -1))
        for p, order in itertools.product(ps, orders):
            yield "weight", [name, p, k, order], maxrl.enumerated_weight(name, p, k, order)[0]
    closed, ends = METHODS[:2] + METHODS[3:7], (0.0, 1e-6, 0.03, 0.5, 1 - 1e-4, 1.0)
    for name, p, k in itertools.product(closed, ends, (2, 100, 1024)):
        yield "weight", [name, p, k], maxrl.population_weight(name, double(p), k).item()
    ps = (1e-12, 1e-6, 0.001, 0.1, 0.5, 0.9, 1 - 1e-9, 1.0)
    for p, T in itertools.product(ps, (1, 2, 3, 10, 100, 10_000)):
        yield "objective", [p, T], maxrl.objective(double(p), T).item()
    tries = [[n, rng.randint(0, n), rng.randint(1, n)] for n in range(1, 200)]
    tries += [[100_000, 3, 50_000], [100_000, 100_000, 7], [100_000, 0, 100_000]]
    yield from (("passAtK", words, maxrl.pass_at_k(*words)) for words in tries)
    yield from (("weight", ["ce", p, 8], 1 / p) for p in (0.5, 0.01))
    yield "weight", ["exact", 0.5, 8, 2], 1.5
    yield "objective", [0.25, math.inf], math.log(0.25)


def test_weights_objectives_and_pass_at_k(page):
    cases = list(numbers_of_maxrl())
    for (name, words, theirs), ours in zip(cases, called(page, cases), strict=True):
        least = 1e-300 if name == "objective" else 1e-12
        assert math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=least), (name, words)


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
def test_log_probabilities_are_those_of_model_py(page):
    """And of all that may be said they add up to one; the rest is no number below 1,000."""
    rng = random.Random(3)
    sums = [(rng.randint(0, 99), rng.randint(0, 99)) for _ in range(40)]
    pairs = [(f"{a:2}+{b:2}=", str(rng.choice((a + b, rng.randint(0, 198))))) for a, b in sums]
    models = dict(models_of_the_page())
    for name, model in models.items():
        found = called(page, [("logprob", [name, *pair]) for pair in pairs])
        for (prompt, said), ours in zip(pairs, found, strict=True):
            tokens = torch.tensor([encode(prompt)]), torch.tensor([[*encode(said), END]])
            theirs = logprobs(model, *tokens, END).item()
            assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-3), (name, prompt, said)
    assert page.evaluate("maxrl.models()") == list(models) == ["base", "rloo", "grpo", "maxrl"]
    said = called(page, [("logprob", ["maxrl", "47+85=", str(x)]) for x in range(1000)])
    assert 0.99 < sum(map(math.exp, said)) <= 1


def test_the_tree_counts_every_rollout(page):
    follow(page, "#models?k=1024&prompt=47%2B85%3D")
    card = page.locator(".card[data-model=base]")
    card.wait_for()
    right, k = re.search(r"([\d,]+) of ([\d,]+) right", card.inner_text()).groups()
    p = math.exp(page.evaluate("maxrl.logprob('base', '47+85=', '132')"))
    deviation = math.sqrt(1024 * p * (1 - p))
    assert k == "1,024" and abs(int(right.replace(",", "")) - 1024 * p) < 6 * deviation
    rows = card.locator("li").evaluate_all(
        "rows => rows.map(e => [e.firstChild.textContent, e.lastChild.textContent,"
        " e.querySelector('i').getBoundingClientRect().width / e.children[1].clientWidth])"
    )
    numbers = [int(n.replace(",", "")) for _, n, _ in rows]
    assert rows[0][:2] == ["132 ✓", right] and sum(numbers) == 1024
    assert [bar for *_, bar in rows] == pytest.approx([n / 1024 for n in numbers], abs=0.01)


LABELS = {"reinforce": "REINFORCE", "grpo": "GRPO", "maxrl": "MaxRL"}
READ = """[...document.querySelectorAll("#race output"), document.querySelector("#race .caption")]
    .map(e => e.textContent)"""

BARS = """lanes => lanes.map(lane => lane.getBoundingClientRect().right
    - lane.querySelector("i").getBoundingClientRect().right)"""


def test_the_race_is_nearly_what_expected_gradients_make_of_it(page):
    """After 60 steps with 1,024 tries, which leave a quarter to chance on the hard prompt."""
    follow(page, "#race?k=1024&seed=3&step=60")
    texts = iter(page.evaluate(READ))
    for start, tolerance in ((0.001, 0.25), (0.7, 0.02)):
        for name in LABELS:
            p = start
            for _ in range(60):
                w, _ = maxrl.enumerated_weight(name, p, 1024)
                logit = math.log(p / (1 - p)) + 0.1 * w * p * (1 - p)
                p = 1 / (1 + math.exp(-logit))
            assert math.isclose(float(next(texts)), p, rel_tol=tolerance), (start, name)


def test_the_caption_of_the_race_is_true_at_every_setting(page):
    """The methods that the caption calls ahead or finished are ahead or finished."""
    follow(page, "#race?step=0")
    assert "start at the same place" in page.evaluate(READ)[-1]
    rng = random.Random(4)
    for k, step in itertools.product((2, 3, 5, 16, 41, 256, 1024), (1, 7, 60, 100, 250, 500)):
        follow(page, f"#race?k={k}&seed={rng.randint(0, 50)}&step={step}")
        *texts, caption = page.evaluate(READ)
        hard, easy = (dict(zip(LABELS, half, strict=True)) for half in (texts[:3], texts[3:]))
        ends = page.locator("#race .lane").evaluate_all(BARS)
        assert [abs(end) < 0.5 for end in ends] == ["✓" in text for text in texts]
        check_prompt(caption, "hard", hard), check_prompt(caption, "easy", easy)
        both = [LABELS[m] for m in LABELS if "step" in hard[m] and "step" in easy[m]]
        end = re.search("At the end (.*?) (have|alone has|has) finished both", caption)
        assert (step == 500) == bool(end)
        assert not end or end[1] == (" and ".join(both) or "nobody"), caption


def check_prompt(caption, prompt, values):
    """The sentence about a prompt, from what it shows of each method: p, or when it finished."""
    place = {m: (1, -int(v.split()[-1])) if "✓" in v else (0, float(v)) for m, v in values.items()}
    part = caption.split(f"On the {prompt} prompt ")[1].split("On the easy")[0]
    who, how = re.match("(.*?) (finish|is ahead|are ahead)", part).groups()
    said = [m for m in LABELS if LABELS[m] in who.split(" and ")]
    worst, *_, best = sorted(place.values())
    if who == "nobody":
        assert best[1] < 1.05 * worst[1]
    elif how == "finish":
        assert said == [m for m in LABELS if place[m] == best] and f"step {-best[1]}." in part
    else:
        last = min(place[m] for m in said)
        assert all(place[m] <= last for m in LABELS if m not in said), caption
    assert "counts" not in part or said == ["maxrl"]
    assert "standard deviation" not in part or said == ["grpo"]


def test_the_race_runs_by_itself_for_five_seconds_and_stops(open_page):
    """With reduced motion it is still until it is asked for, and then it moves in leaps."""
    for motion, moments in (
        ("no-preference", (("", 2500, 250, "Pause"), ("", 2600, 500, "Play again"),
                           ("Enter", 1000, 100, "Pause"), ("Space", 1000, 100, "Play"))),
        ("reduce", (("", 1000, 500, "Play again"), ("Enter", 1330, 100, "Pause"))),
    ):  # fmt: skip
        page = open_page(reduced_motion=motion, clock=True)
        step, play = page.get_by_label("Step, typed"), page.locator("#race .primary")
        for key, milliseconds, at, says in moments:
            if key:
                play.press(key)
            page.clock.run_for(milliseconds)
            assert abs(int(step.input_value()) - at) < 5 and play.inner_text() == says


def column(page, method):
    """Part 3's table: the five weights of a method, and its five shares."""
    drawn(page)
    table = page.locator("#weights .share-table")
    i = table.locator("thead th").all_text_contents().index(method) + 1
    cells = table.locator(f"tbody tr:nth-child(-n+5) > :nth-child({i})").all_text_contents()
    return list(zip(*map(str.split, cells), strict=True))


def test_the_five_prompts_of_the_homework(page):
    """Weights and shares, worked out elsewhere: p = .0001, .01, .1, .5, .9 at k = 8."""
    follow(page, "#weights?k=8")
    weights, shares = column(page, "MaxRL")
    assert weights == ("6.998", "6.793", "5.217", "1.984", "1.111")
    assert shares == ("0.062%", "5.9%", "41.4%", "43.8%", "8.8%")
    exact = "maximum likelihood"
    assert column(page, exact)[0] == ("10,000", "100", "10", "2", "1.111")
    follow(page, "#weights?share=weight")
    assert column(page, exact)[1][0] == "98.9%"


@pytest.mark.parametrize("p, T", [(0.3, 1), (0.05, 12), (0.0001, 1024), (0.9999, 3)])
def test_the_rows_of_the_sum_are_its_terms_and_add_up(page, p, T):
    follow(page, f"#series?p={p}&T={T}")
    rows = page.locator("#series .term").evaluate_all(
        "rows => rows.map(row => [row.firstChild.textContent.replace(',', ''), "
        "row.lastChild.textContent, "
        "...[...row.querySelectorAll('.span i')].map(bar => !bar.hidden)])"
    )
    number = lambda text: float(text.replace("−", "-").replace("≈ 0", "0"))  # noqa: E731
    *terms, total, missing, log = rows
    total, missing, log = (number(row[1]) for row in (total, missing, log))
    wanted = [log, maxrl.objective(double(p), T).item(), math.log(p)]
    assert [total + missing, total, log] == pytest.approx(wanted, rel=2e-4, abs=2e-4)
    first = 1
    for label, value, has_kept, has_lost in terms:
        last = math.inf if "beyond" in label else int(re.findall(r"\d+", label)[-1])
        kept = range(first, int(min(last, T)) + 1)
        listed = kept or range(first, int(min(last, 400_000)) + 1)
        term = -math.fsum((1 - p) ** j / j for j in listed)
        assert number(value) == pytest.approx(term, rel=2e-4, abs=2e-4), label
        is_seen = (1 - p) ** max(first, T + 1) > 0  # not so small that it is 0
        assert (has_kept, has_lost) == (bool(kept), last > T and is_seen), label
        first = last + 1


STATE = """id => {
    const section = document.getElementById(id);
    const parts = section.querySelectorAll(
        "input, [aria-pressed], [role=slider], .lane i, .span i, output, svg text");
    const now = ["aria-pressed", "aria-valuenow"];
    const say = e => [e.value, e.checked, e.style.left, e.style.width, e.textContent,
        ...now.map(name => e.getAttribute(name))];
    const others = section.querySelectorAll(".link, [aria-live]");
    for (const node of others) node.hidden = true;
    const text = section.innerText;
    for (const node of others) node.hidden = false;
    return [text, ...[...parts].map(say)].join();
}"""
CENTRE = "e => e.scrollIntoView({ block: 'center', behavior: 'instant' })"


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
    drawn(page)
    return page.locator(f"#{part}")


def check(page, part):
    """Nothing broken is shown, and the part's own link shows the same."""
    now = state(page, part)
    assert not BROKEN.search(now), BROKEN.search(now)
    page.locator(f"#{part} h2 .link").click()
    fragment = page.evaluate("location.hash")
    assert fragment.startswith(f"#{part}")
    other = page.context.new_page()
    other.goto(URL + fragment)
    shown(other, part)
    assert other.locator(f"#{part} .problem").all_inner_texts() == [""]
    assert state(other, part) == now
    other.close()


@pytest.mark.parametrize("part", PARTS)
def test_whatever_is_pressed_or_dragged_to_its_ends_the_page_is_whole(open_page, part):
    page = open_page()
    section = shown(page, part)
    stop = page.get_by_label("Step, typed")  # typing stops what plays
    for button in section.locator("button:not(.handle, .link), .segments label").all():
        button.click()
        if part == "race":
            stop.fill("450")
            stop.press("Enter")
        assert not BROKEN.search(state(page, part)), button
    check(page, part)
    for handle in section.locator(".handle").all():
        handle.scroll_into_view_if_needed()
        for key, back, x in (("Home", "ArrowRight", 0), ("End", "PageDown", 1440)):
            now = []
            for pressed in (key, back):
                handle.press(pressed), drawn(page)
                now.append(handle.get_attribute("aria-valuenow"))
            box = handle.bounding_box()
            y = box["y"] + box["height"] / 2
            page.mouse.move(box["x"] + box["width"] / 2, y), page.mouse.down()
            page.mouse.move(x, y + 5, steps=3), page.mouse.up(), drawn(page)
            assert handle.get_attribute("aria-valuenow") == now[0] != now[1]
            check(page, part)
    for key in ("Home", "End"):
        for slider in section.locator("input[type=range]").all():
            slider.press(key)
        check(page, part)


def test_what_is_typed_beside_a_slider_is_checked(page):
    for part in PARTS[:-1]:
        for slider in shown(page, part).locator("input[type=range]").all():
            assert slider.get_attribute("aria-valuetext")
            field = slider.locator("xpath=../input[@type='text']")
            good = field.input_value()
            complaint = slider.locator("xpath=../../div[@role='alert']")
            for typed, says in (("-3", "number"), ("many", "not a number"), (good, "")):
                field.fill(typed), field.press("Enter")
                playwright.expect(complaint).to_contain_text(says)
            playwright.expect(complaint).to_be_empty()


def test_a_finger_that_scrolls_changes_nothing_and_one_that_drags_does(open_page):
    page = open_page(width=360, height=740, has_touch=True, is_mobile=True)
    touch = page.context.new_cdp_session(page)

    def swipe(node, dx, dy):
        node.evaluate(CENTRE)
        drawn(page)
        box = node.bounding_box()
        x, y = box["x"] + 0.6 * box["width"], box["y"] + 0.6 * box["height"]
        for i in range(9):
            points = [{"x": x + dx * i / 8, "y": y + dy * i / 8}]
            kind = "touchMove" if i else "touchStart"
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    for part, target in itertools.product(("series", "weights"), (".u-over", ".handle")):
        node = shown(page, part).locator(target).first
        before = state(page, part)
        swipe(node, 4, -150)
        assert state(page, part) == before
        swipe(node, -60, 5)
        assert state(page, part) != before


THREE, TWO = "#group?r=1000.1100.0000&more=passk,rft", "#group?r=10000000.11110000"
BOX, BOXES = "#group .group >> nth=%d >> .box >> nth=%d", "#group .group >> nth=1"
TYPED, CARD = "#models .control.text input", ".card >> nth=0"
COMPLAINT = "#models .control.text .complaint"
SAID = [  # a link; what is pressed or typed there: (where, what); where something is said, and what
    (THREE, [], "#group table", "1 / (3/12)"),  # the mean of rft is that of the batch
    (THREE, [], "#group .group >> nth=2", "nothing to imitate"),
    (THREE, [], "#weights .share-table thead", "rft"),  # its list of methods is that of part 3
    (THREE, [(BOX % (2, 0), "Space")], "#group table", "1 / (4/12)"),
    (TWO, [(BOX % (1, 0), "ArrowLeft")], BOX % (1, 7) + " >> :scope:focus", ""),  # around
    (TWO, [(f"{BOXES} >> button >> nth=-1", "Enter")], "#group thead", "for prompt 2"),
    ("#models?k=1", [(TYPED, "47-85=")], COMPLAINT, "not an addition"),
    ("#models?k=1", [(TYPED, "470+85")], COMPLAINT, "at most 2 digits"),
    ("#models?k=1", [(TYPED, "8 + 30")], CARD, "chance of 38"),
    ("#models?k=1", [], CARD, "of 1 right · 1 different"),
    ("#series?p=2&T=x&colour=red", [], "#series .problem", "no “colour”"),
    ("#" + 20_000 * "a", [], "#problem", "does not have"),
    ("#%E0%A4%A", [], "#problem", "does not have"),
    ("#models?prompt=" + 20_000 * "b", [], "#models .problem", "cannot read"),
    ("#group?r=10.1", [], "#group .problem", "not a list of groups"),
    ("#weights?p=1,2", [], "#weights .problem", "not five pass rates"),
    ("#race?seed=x&k=0", [], "#race .problem", "from 2 to"),
]


def test_what_is_said_of_links_and_presses(open_page):
    """Links that make no sense are said; after each, the page still fits and goes on."""
    page = open_page(width=768)
    for link, pressed, where, says in SAID:
        follow(page, link)
        for place, what in pressed:
            node = page.locator(place)
            node.fill(what) if place == TYPED else node.press(what)
        playwright.expect(page.locator(where)).to_contain_text(says)
        assert excess(page) <= 0
    before = state(page, "series")
    page.locator("#series input[type=range]").first.press("ArrowRight")
    assert state(page, "series") != before


def all_shown(page):
    for part in PARTS:
        shown(page, part)
    page.locator("#group .chip").last.click()
    drawn(page)


def excess(page):
    """How much wider the page is than its screen."""
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")


SMALL = """[...document.querySelectorAll("main *")].filter(e => e.checkVisibility()
    && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())
    && parseFloat(getComputedStyle(e).fontSize) < 11).map(e => e.outerHTML)"""
AXE = "axe.run().then(r => r.violations.map(v => [v.id, ...v.nodes.map(n => n.html)]))"


@pytest.mark.parametrize("width", WIDTHS)
def test_how_it_looks(open_page, width):
    """Nothing is wider than the screen or too small to read, and axe finds nothing."""
    page = open_page(width=width)
    all_shown(page)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        drawn(page)
        assert excess(page) <= 0 and page.evaluate(SMALL) == []
        if NPM.exists():
            page.evaluate((NPM / "axe-core" / "axe.min.js").read_text(encoding="utf-8"))
            assert page.evaluate(AXE) == []
    page.add_style_tag(content="html { font-size: 150% }")
    drawn(page)
    assert excess(page) <= 0
    if not NPM.exists():
        pytest.skip(f"all but axe: {NO_NPM}")


@pytest.mark.parametrize("width, height", [(1440, 900), (360, 740)])
def test_what_a_slider_changes_is_on_the_screen_with_it(open_page, width, height):
    """The race at once; the other parts when one scrolls to a result."""
    page = open_page(width=width, height=height)
    place = "e => e.getBoundingClientRect().toJSON()"
    for selector in ("[data-slot=tracks]", "input[type=range] >> nth=0"):
        assert page.locator(f"#race {selector}").evaluate(place)["bottom"] <= height, selector
    for part in PARTS[1:5]:
        section = shown(page, part)
        for result in section.locator("figure, .panel:not(figure)").all():
            result.evaluate("e => e.scrollIntoView({ block: 'end', behavior: 'instant' })")
            for slider in section.locator("input[type=range]").all():
                box = slider.evaluate(place)
                assert 0 < box["top"] and box["bottom"] <= height, (part, box)


def test_printing_shows_every_section_in_black_on_white(open_page):
    page = open_page(color_scheme="dark")
    all_shown(page)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 without its margins
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    drawn(page)
    assert excess(page) <= 0
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(30, 29, 27)"
    assert all(page.locator(f"#{part} h2").is_visible() for part in PARTS)
    for mark in (".lane i", ".span i", ".stackbar i", ".swatch"):
        adjust = page.locator(mark).first.evaluate("e => getComputedStyle(e).printColorAdjust")
        assert adjust == "exact", mark


@pytest.mark.skipif(not NPM.exists(), reason=NO_NPM)
def test_the_sources_are_as_the_linter_wants_them():
    words = [NPM / ".bin" / "biome", "check", "--error-on-warnings", "."]
    done = subprocess.run(words, cwd=build.HERE, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_picture_for_the_readme(open_page, tmp_path):
    """Part 3 with the five prompts, where the method is seen at a glance."""
    page = open_page("#weights?k=256", width=1120, device_scale_factor=1.5)
    page.add_style_tag(content=".bar { display: none } .pinned { position: static !important }")
    drawn(page)
    path = os.environ.get("EXPLORER_PICTURE") or tmp_path / "explorer.png"
    page.locator("#weights figure").screenshot(path=path)
