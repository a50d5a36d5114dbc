"""The examples are what their comments say, and the commands that `make run` prints are worth typing."""

import re
import shlex
from pathlib import Path

import pytest

from tests.cli.running import EXAMPLES, Run
from tests.serving import ROOT, Serving

SAID = {
    "dam": [
        ("ann north-press dam:asset delete", "ALLOW"),
        ("ann south dam:asset read", "WORKSPACE_SUSPENDED"),
        ("bob north-press dam:asset delete", "ALLOW"),
        ("bob halden dam:asset read", "NOT_A_MEMBER"),
        ("cleo south-shop dam:asset update", "WORKSPACE_SUSPENDED"),
        ("ann halden child reinstate", "ALLOW"),
        ("cleo south child reinstate", "WORKSPACE_SUSPENDED"),
        ("dan north dam:asset update", "ALLOW"),
        ("dan north analytics:report read", "MODULE_NOT_GRANTED"),
        ("bob north collaboration:comment read", "MODULE_NOT_ENABLED"),
        ("eve north dam:asset read", "MEMBERSHIP_EXPIRED"),
        ("finn north-press member add", "ALLOW"),
        ("finn north-press dam:asset update", "ROLE_INSUFFICIENT"),
        ("gil halden dam:asset read", "USER_INACTIVE"),
        ("hana fjord dam:brand edit", "ALLOW"),
        ("ann north-press workspace create_child", "CHILD_WORKSPACES_NOT_ALLOWED"),
        ("uploader halden dam:asset create", "ALLOW"),
    ],
    "eventpalour": [
        ("ida bookfair event delete", "ALLOW"),
        ("ida chess event view", "NOT_A_MEMBER"),
        ("lea summer event create", "ALLOW"),
        ("lea summer ticketing:ticket issue", "ALLOW"),
        ("lea summer workspace update", "ROLE_INSUFFICIENT"),
        ("lea summer member remove", "ROLE_INSUFFICIENT"),
        ("max summer ticketing:ticket issue", "MODULE_NOT_GRANTED"),
        ("ned summer activity participate", "ALLOW"),
        ("ned summer event update", "ROLE_INSUFFICIENT"),
        ("pit summer ticketing:ticket check_in", "ALLOW"),
        ("pit summer ticketing:ticket refund", "ROLE_INSUFFICIENT"),
        ("quin bookfair ticketing:ticket view", "MODULE_NOT_ENABLED"),
        ("quin bookfair workspace transfer", "ALLOW"),
        ("rob summer event view", "MEMBERSHIP_INACTIVE"),
        ("kim summer workspace transfer", "ROLE_INSUFFICIENT"),
    ],
    "oneglanse": [
        ("amy sneakers workspace delete", "ALLOW"),
        ("amy sneakers analysis:report read", "WORKSPACE_SUSPENDED"),
        ("amy bikes analysis:report read", "NOT_A_MEMBER"),
        ("cam cola analysis:report run", "ALLOW"),
        ("cam cola schedule set", "ROLE_INSUFFICIENT"),
        ("dee cola schedule set", "ALLOW"),
        ("fay bikes prompt create", "ALLOW"),
        ("fay sneakers prompt read", "WORKSPACE_SUSPENDED"),
        ("hal organization:tandem workspace create", "ALLOW"),
        ("hal bikes analysis:report read", "NOT_A_MEMBER"),
        ("ivy sneakers workspace view", "USER_INACTIVE"),
    ],
}


@pytest.mark.parametrize("name", SAID)
def test_an_example_is_what_its_story_says(run_sqlite: Run, name: str, bundles: Path) -> None:
    assert run_sqlite("import", EXAMPLES / f"{name}.yaml", "--policy", bundles / name).status == 0
    with Serving(run_sqlite.database_url, bundles / name) as serving:
        for question, answer in SAID[name]:
            outcome = run_sqlite("check", *question.split(), "--server", serving.server.address)
            found = "ALLOW" if outcome.status == 0 else outcome.lines[1].removeprefix("reason ")
            assert found == answer, question


def test_every_example_opens_with_its_story() -> None:
    names = sorted(path.stem for path in EXAMPLES.glob("*.yaml"))
    assert names == sorted(SAID)
    for name in names:
        assert (EXAMPLES / f"{name}.yaml").read_text().startswith("# ")


def test_the_commands_that_make_run_prints_give_an_allow_a_denial_with_a_remedy_and_an_explanation(
    example_sqlite: Run,
) -> None:
    printed = re.findall(r"@echo '  \$\(BIN\)/wsauthz (.*)'", (ROOT / "Makefile").read_text())
    outcomes = [example_sqlite.here(*shlex.split(command)) for command in printed]
    assert [outcome.status for outcome in outcomes] == [0, 1, 1]
    assert any(line.startswith("organization:halden flowed") for line in outcomes[0].lines)
    assert any(line.startswith("remedy ") for line in outcomes[1].lines)
    assert any(line.startswith("NO MODULE_NOT_GRANTED") for line in outcomes[2].lines)
