"""A small bundle as text, for tests to change one thing in it."""

from pathlib import Path
from typing import Final

from wsauthz.policy.bundle import Bundle, build_bundle
from wsauthz.policy.catalog import Catalog, CoreVocabulary
from wsauthz.policy.catalog_reader import read_catalog

CORE: Final[CoreVocabulary] = {
    "workspace": {"create": None, "create_child": None, "view": None, "customize_branding": "branding"},
    "organization": {"create": None, "view": None},
}
MODEL: Final = (Path(__file__).parents[2] / "policies" / "model.conf").read_text(encoding="utf-8")
CATALOG: Final = """\
name = "gallery"
operator_role = "operator"

[roles.operator]
rank = 90
title = "Operator"
places = ["platform"]

[roles.owner]
rank = 50
title = "Owner"
assignable = false
owner_like = true
places = ["workspace", "organization"]

[roles.editor]
rank = 20
title = "Editor"
places = ["workspace", "organization"]

[roles.guest]
rank = 10
title = "Guest"
places = ["workspace"]

[defaults]
workspace = "guest"
organization = "editor"
creator = "editor"
former_owner = "editor"

[ownership]
role = "owner"
multiple = false
on_account_deletion = "delete"

[permissions]
"can-hang" = "Hang pictures"

[modules.art]
title = "Art"

[modules.shop]
title = "Shop"

[resources."art:picture"]
actions = ["see", "hang"]

[resources."art:frame"]
actions = ["gild"]
requires_feature = "gold"

[resources."shop:ticket"]
actions = ["sell"]

[resources.note]
actions = ["read"]

[plans.small]
type = "free"
modules = ["art"]

[plans.large]
type = "paid"
features = ["gold", "branding"]

[providers]
post = "Post"

[joining]
methods = ["invite_code", "organization"]

[invitations]
lifetime_days = 3

[limits]
workspaces_per_owner = 5

[[guards.checkWorkspace]]
fails = "WORKSPACE_ID_MISSING"
status = 302
redirect = "/"

[[guards.checkWorkspace]]
fails = "NOT_A_MEMBER"
status = 403
message = "Permission denied"

[[guards.check-if-suspended]]
fails = "WORKSPACE_SUSPENDED"
status = 302
redirect = "/{id}/suspended"

[answers.WORKSPACE_SUSPENDED]
status = 403
message = "Closed"
redirect = "/{id}/suspended"

[authzen]
subject_types = ["user", "service"]
"""
POLICY: Final = """\
# Who may do what.
p, role:guest,    *,        workspace/*,    view,   any,       allow
p, role:guest,    *,        art:picture/*,  see,    active,    allow
p, role:guest,    *,        art:picture/7,  hang,   active,    allow
p, role:guest,    *,        art:picture/13, *,      any,       deny

p, role:editor,   *,        art:*,          *,      active,    allow
p, perm:can-hang, *,        art:picture/*,  hang,   active,    allow
p, role:owner,    *,        shop:ticket/*,  sell,   active,    allow
p, role:everyone, platform, workspace/*,    create, any,       allow
g, role:editor, role:guest, *
g, role:owner, role:editor, *
g4, role:owner, role:editor
g4, role:editor, role:editor
"""
TESTS: Final = """\
- name: a guest looks
  given:
    users: [{id: ann}, {id: gus}]
    workspaces: [{id: w, owner: ann}, {id: c, parent: w, owner: ann, is_suspended: true}]
    memberships: [{workspace: w, user: gus, role: guest}]
    subscriptions: [{workspace: w, plan: large}]
  expect:
    - {subject: gus, workspace: w, check: "art:picture see", allow: true}
    - {subject: gus, workspace: w, check: "art:picture/13 see", reason: DENIED_BY_RULE}
    - {subject: gus, workspace: c, check: "art:picture see", reason: NOT_A_MEMBER}
    - {subject: ann, workspace: c, check: "art:picture see", reason: WORKSPACE_SUSPENDED, blocked_by: c}
    - {subject: gus, check: "workspace view", reason: WORKSPACE_ID_MISSING}
    - {subject: gus, platform: true, check: "workspace create", allow: true}
  matrix:
    workspace: w
    rows:
      guest: ["workspace view", "art:picture see", "art:picture/7 hang"]
      guest+perm:can-hang: ["workspace view", "art:picture see", "art:picture hang"]
      editor: ["workspace view", "art:picture see", "art:picture hang", "art:frame gild"]
      owner: ["workspace view", "art:picture see", "art:picture hang", "art:frame gild", "shop:ticket sell"]
"""
FILES: Final = {"model.conf": MODEL, "catalog.toml": CATALOG, "policy.csv": POLICY, "tests.yaml": TESTS}


def catalog(text: str = CATALOG) -> Catalog:
    """Return a catalog that is known to be right."""
    found, problems = read_catalog(text, CORE)
    assert found is not None, problems
    return found


def bundle(**changes: str) -> Bundle:
    """Return the bundle with some files changed; ``policy_csv`` stands for policy.csv."""
    return build_bundle({**FILES, **{name.replace("_", "."): text for name, text in changes.items()}}, CORE)
