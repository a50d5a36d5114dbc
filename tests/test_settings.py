"""The variables of the environment: unknown ones stop every command, except those that Kubernetes sets."""

from dataclasses import fields

import pytest

from wsauthz import settings
from wsauthz.settings import Settings, SettingsRefused

NAMES = [f"WSAUTHZ_{field.name.upper()}" for field in fields(Settings)]

OF_SERVICES = [
    "WSAUTHZ_SERVICE_HOST=10.96.0.12",
    "WSAUTHZ_SERVICE_PORT=50051",
    "WSAUTHZ_SERVICE_PORT_GRPC=50051",
    "WSAUTHZ_SERVICE_PORT_GRPC_WEB=50052",
    "WSAUTHZ_PORT=tcp://10.96.0.12:50051",
    "WSAUTHZ_PORT_50051_TCP=tcp://10.96.0.12:50051",
    "WSAUTHZ_PORT_50051_TCP_PROTO=tcp",
    "WSAUTHZ_PORT_50051_TCP_PORT=50051",
    "WSAUTHZ_PORT_50051_TCP_ADDR=10.96.0.12",
    "WSAUTHZ_PORT_8125_UDP=udp://10.96.0.12:8125",
    "WSAUTHZ_PORT_8125_UDP_PROTO=udp",
    "WSAUTHZ_PORT_3868_SCTP=sctp://10.96.0.12:3868",
    "WSAUTHZ_METRICS_SERVICE_HOST=10.96.0.13",
    "WSAUTHZ_METRICS_SERVICE_PORT_HTTP=9464",
    "WSAUTHZ_METRICS_PORT=tcp://10.96.0.13:9464",
    "WSAUTHZ_METRICS_PORT_9464_TCP_ADDR=10.96.0.13",
]


def refused(**environment: str) -> list[str]:
    with pytest.raises(SettingsRefused) as error:
        Settings.from_environment(environment)
    return error.value.problems


@pytest.mark.parametrize("variable", OF_SERVICES)
def test_variables_of_a_kubernetes_service_are_ignored(variable: str) -> None:
    name, _, value = variable.partition("=")
    assert Settings.from_environment({name: value}) == Settings()


def test_no_setting_has_the_name_of_such_a_variable() -> None:
    """Else a Service with an unlucky name would configure the server."""
    assert [name for name in NAMES if settings._OF_KUBERNETES.match(name)] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_mistyped_setting_stops_with_the_one_that_was_meant(name: str) -> None:
    own = name.removeprefix("WSAUTHZ_")
    dropped = {own[:at] + own[at + 1 :] for at in range(len(own))}
    doubled = {own[:at] + own[at] + own[at:] for at in range(len(own))}
    swapped = {own[:at] + own[at + 1] + own[at] + own[at + 2 :] for at in range(len(own) - 1)}
    for mistyped in (dropped | doubled | swapped) - {own}:
        problems = refused(**{f"WSAUTHZ_{mistyped}": "1"})
        assert f"WSAUTHZ_{mistyped} is not a setting of wsauthz; did you mean {name}?" in problems


@pytest.mark.parametrize(
    "name",
    [
        "WSAUTHZ_PORTS",
        "WSAUTHZ_SERVICE_HOSTS",
        "WSAUTHZ_SERVICE",
        "WSAUTHZ_PORT_TCP",
        "WSAUTHZ_PORT_50051",
        "WSAUTHZ_PORT_50051_TCP_USER",
        "WSAUTHZ_PORT_50051_TLS",
        "WSAUTHZ_SERVICE_PORT_",
        "WSAUTHZ_PORT_\u0665_TCP",
        "WSAUTHZ_PORT\n",
        "WSAUTHZ_API_KEYS",
    ],
)
def test_every_other_unknown_variable_stops(name: str) -> None:
    assert any(problem.startswith(f"{name} is not a setting of wsauthz") for problem in refused(**{name: "1"}))


def test_a_name_that_resembles_no_setting_lists_them() -> None:
    assert "the settings are WSAUTHZ_AUDIT_KEY, " in refused(WSAUTHZ_QQQQ="1")[0]


def test_variables_of_others_are_nobodys_business() -> None:
    assert Settings.from_environment({"OTHER_LISTEN": "x", "WSAUTHZ": "x"}) == Settings()
