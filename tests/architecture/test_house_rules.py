"""What a machine can hold of the house rules."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "phonoloop"
FILES = sorted(p for p in SOURCE.rglob("*.py"))
NAMES = [str(p.relative_to(SOURCE)) for p in FILES]


def functions(path):
    return [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def body_lines(function):
    return function.end_lineno - function.body[0].lineno + 1


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_no_file_over_500_lines_and_no_function_over_50(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500
    assert [f.name for f in functions(path) if body_lines(f) > 50] == []


def test_most_functions_are_a_few_lines():
    sizes = sorted(body_lines(f) for path in FILES for f in functions(path))
    assert sizes[len(sizes) // 2] <= 8
    assert sizes[len(sizes) * 9 // 10] < 25


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_every_module_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_nothing_is_validated_by_assert_or_loaded_by_pickle(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.Assert)] or "testing" in path.parts
    names = {ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    assert not names & {"pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.loads", "shelve.open"}
    imported = {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    assert "torchaudio" not in imported


def test_help_needs_neither_torch_nor_records():
    code = (
        "import sys; sys.argv = ['phonoloop', '--help']\n"
        "from phonoloop.app.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'sqlalchemy', 'numpy', 'av', 'onnxruntime', 'fastapi'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "Commands:" in out
    assert out.strip().endswith("heavy: []")


@pytest.mark.parametrize(
    "module",
    ["app.cli.transcribe", "app.cli.wakeword_listen", "app.http.server", "asr.infer", "wakeword.infer"],
)
def test_serving_needs_no_torch(module):
    code = f"import sys, phonoloop.{module}; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "False"


def test_the_pillars_hold_the_same_file_names():
    pillars = [SOURCE / name for name in ("asr", "wakeword", "voice") if (SOURCE / name).is_dir()]
    for pillar in pillars:
        for name in ("config", "data", "model", "train", "evaluate", "export", "infer"):
            assert (pillar / f"{name}.py").exists(), f"{pillar.name}/{name}.py"
