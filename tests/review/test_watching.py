"""A changed bundle is read again, however its files were replaced, and nothing else is a change."""

import asyncio
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.serving import BUNDLES
from wsauthz.replica.watching import look, watch

SECONDS = 8.0


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a directory with a bundle, under one with the model."""
    directory = tmp_path / "releases" / "policies" / "dam"
    shutil.copytree(BUNDLES / "dam", directory)
    shutil.copy(BUNDLES / "model.conf", directory.parent)
    return directory


def reloads(directory: Path, *changes: Callable[[], object], quiet: bool = False) -> list[int]:
    """Watch the directory, make the changes one after another, and return how many reloads there were after each."""
    counts: list[int] = []
    reloaded = threading.Semaphore(0)
    count = [0]

    def reload() -> None:
        count[0] += 1
        reloaded.release()

    async def run() -> None:
        watching = asyncio.ensure_future(watch(directory, look(directory), reload))
        await asyncio.sleep(0.5)
        for change in changes:
            await asyncio.to_thread(change)
            if quiet:
                await asyncio.sleep(1.5)
            else:
                assert await asyncio.to_thread(reloaded.acquire, timeout=SECONDS), "it was not read again"
            counts.append(count[0])
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    asyncio.run(run())
    return counts


def append(path: Path) -> Callable[[], object]:
    """Return what adds a line to a file."""
    return lambda: path.write_text(path.read_text() + "# changed\n")


def test_a_bundle_behind_a_link_is_read_again_when_the_link_moves_and_ever_after(bundle: Path, tmp_path: Path) -> None:
    """Deployments swap links."""
    second = tmp_path / "elsewhere" / "dam"
    shutil.copytree(bundle, second)
    shutil.copy(bundle.parent / "model.conf", second.parent)
    current = tmp_path / "links" / "current"
    current.parent.mkdir()
    current.symlink_to(bundle)

    def swap() -> None:
        fresh = current.with_name("fresh")
        fresh.symlink_to(second)
        fresh.rename(current)

    reloads(current, append(bundle / "policy.csv"), swap, append(second / "policy.csv"))


def test_a_bundle_is_read_again_when_the_directory_above_it_is_replaced_and_ever_after(bundle: Path) -> None:
    """A notification follows the directory that was moved away."""
    above = bundle.parent
    fresh = above.with_name("fresh")
    shutil.copytree(above, fresh)

    def replace() -> None:
        above.rename(above.with_name("old"))
        fresh.rename(above)

    reloads(bundle, replace, append(bundle / "policy.csv"))


def test_a_mounted_config_map_is_read_again_when_its_data_link_moves(bundle: Path, tmp_path: Path) -> None:
    """Kubernetes keeps the files behind ..data, and moves that."""
    mount = tmp_path / "mount" / "dam"
    mount.mkdir(parents=True)
    shutil.copy(bundle.parent / "model.conf", mount.parent)
    for version in ("..1", "..2"):
        shutil.copytree(bundle, mount / version)
    (mount / "..data").symlink_to("..1")
    for file in bundle.iterdir():
        (mount / file.name).symlink_to(f"..data/{file.name}")

    def swap() -> None:
        (mount / "..tmp").symlink_to("..2")
        (mount / "..tmp").rename(mount / "..data")
        shutil.rmtree(mount / "..1")

    reloads(mount, swap, append(mount / "..2" / "policy.csv"))


def test_what_is_written_beside_a_bundle_is_no_change_of_it(bundle: Path) -> None:
    """The database may lie there, and would have the bundle read again at every write."""
    assert reloads(bundle, append_new(bundle.parent / "wsauthz.db-wal"), quiet=True) == [0]


def append_new(path: Path) -> Callable[[], object]:
    """Return what writes a file."""
    return lambda: path.write_text("write")


def test_a_bundle_that_changed_while_the_server_was_starting_is_read_again(bundle: Path) -> None:
    """Loading the facts takes a while, and nobody watches yet."""
    seen = look(bundle)
    append(bundle / "policy.csv")()
    reloaded = threading.Event()

    async def run() -> None:
        watching = asyncio.ensure_future(watch(bundle, seen, reloaded.set))
        assert await asyncio.to_thread(reloaded.wait, SECONDS)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    asyncio.run(run())
