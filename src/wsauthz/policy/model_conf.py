"""The Casbin model: ours, the same for every bundle, token for token."""

import re
from typing import Final

from wsauthz.policy.problems import Problem

FILE: Final = "model.conf"
MODEL: Final = """\
[request_definition]
r = sub, dom, use, obj, act
[policy_definition]
p = sub, dom, obj, act, state, eft
[role_definition]
g = _, _, _
g2 = _, _
g3 = _, _
g4 = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = g(r.sub, p.sub, r.use) && g3(r.dom, p.state) && (p.dom == "*" || g2(r.dom, p.dom)) && \\
    keyMatch(r.obj, p.obj) && (p.act == "*" || r.act == p.act)
"""
"""What every model.conf must say; comments and white space are its own."""

_TOKEN: Final = re.compile(r'\w+|"[^"]*"|&&|\|\||[=!<>]=|[^\w\s]')

_Setting = tuple[str, tuple[str, ...]]


def check_model(text: str) -> list[Problem]:
    """Return what is wrong with a model.conf: every setting that differs from ours, or is missing."""
    problems = []
    expected = [setting for _, setting in _settings(MODEL)]
    found = _settings(text)
    for line, setting in found:
        if setting not in expected:
            problems.append(Problem(file=FILE, line=line, text=f"{_shown(setting)!r} is not in the model of wsauthz"))
    missing = [setting for setting in expected if setting not in [there for _, there in found]]
    problems.extend(Problem(file=FILE, line=0, text=f"{_shown(setting)!r} is missing") for setting in missing)
    if not problems and [setting for _, setting in found] != expected:
        problems.append(Problem(file=FILE, line=0, text="its sections must be in the order of the model of wsauthz"))
    return problems


def _settings(text: str) -> list[tuple[int, _Setting]]:
    """Return every setting with its section and first line, white space and comments aside."""
    found: list[tuple[int, _Setting]] = []
    section = ""
    start, pending = 0, ""
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if not pending:
            start = number
            if not stripped or stripped.startswith(("#", ";")):
                continue
        if stripped.endswith("\\"):
            pending += stripped.removesuffix("\\") + " "
            continue
        whole, pending = pending + stripped, ""
        if whole.startswith("["):
            section = whole
        else:
            found.append((start, (section, tuple(_TOKEN.findall(whole)))))
    if pending:
        found.append((start, (section, tuple(_TOKEN.findall(pending)))))
    return found


def _shown(setting: _Setting) -> str:
    section, tokens = setting
    return f"{section} {' '.join(tokens)}"
