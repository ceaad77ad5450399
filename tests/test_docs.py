"""Documents that cannot fall behind the code."""

import re
from pathlib import Path

import pytest

from transfer_core.cli import COMMANDS
from transfer_core.cli_options import make_parser
from transfer_core.knobs import get_knobs
from transfer_core.models.backbones import BACKBONES
from transfer_core.strategies import STRATEGIES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda each: each.name)
def test_a_strategy_has_a_section_a_row_a_paper_and_its_knobs_documented(strategy):
    section = re.search(
        rf"^## {strategy.name}$(.*?)(?=^## |\Z)", (ROOT / "docs/strategies.md").read_text(), re.M | re.S
    )
    assert section, f"docs/strategies.md has no section {strategy.name}"
    for knob in get_knobs(strategy):
        assert f"`{knob.name}`" in section[1]
    assert f"{strategy.name}.py" in README
    opening = (ROOT / f"transfer_core/strategies/{strategy.name}.py").read_text().split('"""')[1]
    assert re.search(r"(19|20)\d\d", opening), "a strategy's file opens with its paper"


def test_readme_names_every_backbone_family():
    for backbone in BACKBONES:
        assert backbone.title.split("-")[0].split()[0].lower() in README.lower()


def test_every_command_in_the_documents_exists():
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for name in re.findall(
            r"`(?:uv run )?transfer-lab ([a-z]+)|^uv run transfer-lab ([a-z]+)", path.read_text(), re.M
        ):
            name = "".join(name)
            assert name in COMMANDS, f"{path.name} speaks of `transfer-lab {name}`"


def test_links_between_documents_lead_somewhere():
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_no_lock_file_and_no_index_host_is_kept():
    assert "uv.lock" in (ROOT / ".gitignore").read_text().split()
    assert "index-url" not in (ROOT / "pyproject.toml").read_text()


def test_groups_told_by_names_are_said_to_stay_readable(capsys):
    with pytest.raises(SystemExit):
        make_parser().parse_args(["ingest", "--help"])
    for said in (README, capsys.readouterr().out):
        (place,) = re.findall(r"--group-from-path`?\)? [^.]*?stays? readable[^.]*", said)
        assert "persons" in place
