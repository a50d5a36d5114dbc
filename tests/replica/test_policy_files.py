"""A changed bundle is read again, however its files were replaced, never half of a change, and nothing else is one."""

import asyncio
import resource
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.serving import BUNDLES, ServerProcess
from wsauthz.policy import judging
from wsauthz.policy.bundle_directory import fingerprint
from wsauthz.policy.current import CarryOn, CurrentPolicy, Reload
from wsauthz.replica import policy_files
from wsauthz.replica.policy_files import PolicyFiles
from wsauthz.rpc.methods import core_vocabulary

SECONDS = 30.0
NEVER = 3600.0


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a directory with a bundle, under one with the model."""
    directory = tmp_path / "releases" / "policies" / "dam"
    shutil.copytree(BUNDLES / "dam", directory)
    shutil.copy(BUNDLES / "model.conf", directory.parent)
    return directory


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return what sets how long files must be quiet; at first they never are."""

    def change(seconds: float) -> None:
        monkeypatch.setattr(policy_files, "QUIET_SECONDS", seconds)

    monkeypatch.setattr(policy_files, "POLL_SECONDS", 0.02)
    change(NEVER)
    return change


class Followed:
    """A policy that follows a directory, and what was read."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.policy = CurrentPolicy(directory, core_vocabulary())
        self.reads: list[Reload] = []
        self.files = PolicyFiles(directory, fingerprint(directory), self.reload)

    def reload(self, carry_on: CarryOn) -> Reload:
        found = self.policy.read(carry_on)
        self.policy.put(found)
        self.reads.append(found)
        return found

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition."""
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, what
            time.sleep(0.01)

    def until_seen(self) -> None:
        """Wait until a poll has found the files as they are now."""
        self.until(lambda: self.files.seen == fingerprint(self.directory), "the change was not seen")

    def until_read(self, count: int) -> Reload:
        """Wait until the files have been read so many times, and return the last."""
        self.until(lambda: len(self.reads) >= count, "the files were not read again")
        assert len(self.reads) == count
        return self.reads[-1]


@contextmanager
def following(directory: Path) -> Iterator[Followed]:
    """Follow the directory within the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    followed = Followed(directory)
    task = asyncio.run_coroutine_threadsafe(followed.files.follow(), loop)
    try:
        yield followed
    finally:
        task.cancel()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def append(path: Path) -> None:
    """Add a line to a file."""
    path.write_text(path.read_text() + "# changed\n")


def swap(link: Path, target: Path) -> None:
    """Move a link in one step, as deployments do."""
    fresh = link.with_name("fresh")
    fresh.symlink_to(target)
    fresh.rename(link)


def test_files_that_are_saved_one_after_another_are_read_together(bundle: Path, quiet: Callable[[float], None]) -> None:
    """The catalog alone, or the rules alone, would be a valid bundle with other answers."""
    with following(bundle) as followed:
        append(bundle / "catalog.toml")
        followed.until_seen()
        append(bundle / "policy.csv")
        followed.until_seen()
        assert not followed.reads
        quiet(0)
        read = followed.until_read(1)
        assert [name for name, text in sorted(read.bundle.files.items()) if "# changed" in text] == [
            "catalog.toml",
            "policy.csv",
        ]


def test_a_bundle_behind_a_link_is_read_at_once_when_the_link_moves_and_ever_after(
    bundle: Path, tmp_path: Path, quiet: Callable[[float], None]
) -> None:
    second = tmp_path / "elsewhere" / "dam"
    shutil.copytree(bundle, second)
    shutil.copy(bundle.parent / "model.conf", second.parent)
    append(second / "policy.csv")
    current = tmp_path / "links" / "current"
    current.parent.mkdir()
    shutil.copy(bundle.parent / "model.conf", current.parent)
    current.symlink_to(bundle)
    with following(current) as followed:
        swap(current, second)
        assert followed.until_read(1).changed
        append(second / "policy.csv")
        followed.until_seen()
        assert len(followed.reads) == 1, "changed in place, and not quiet"
        quiet(0)
        assert followed.until_read(2).changed


def test_a_mounted_config_map_is_read_at_once_when_its_data_link_moves(
    bundle: Path, tmp_path: Path, quiet: Callable[[float], None]
) -> None:
    """Kubernetes keeps the files behind ..data, and moves that."""
    mount = tmp_path / "mount" / "dam"
    mount.mkdir(parents=True)
    shutil.copy(bundle.parent / "model.conf", mount.parent)
    for version in ("..1", "..2"):
        shutil.copytree(bundle, mount / version)
    append(mount / "..2" / "policy.csv")
    (mount / "..data").symlink_to("..1")
    for file in bundle.iterdir():
        (mount / file.name).symlink_to(f"..data/{file.name}")
    with following(mount) as followed:
        swap(mount / "..data", Path("..2"))
        shutil.rmtree(mount / "..1")
        assert followed.until_read(1).changed
        append(mount / "..2" / "policy.csv")
        quiet(0)
        assert followed.until_read(2).changed


def test_links_that_move_one_after_another_are_no_single_step(
    bundle: Path, tmp_path: Path, quiet: Callable[[float], None]
) -> None:
    links = tmp_path / "links" / "dam"
    links.mkdir(parents=True)
    shutil.copy(bundle.parent / "model.conf", links.parent)
    second = tmp_path / "second"
    shutil.copytree(bundle, second)
    for name in ("catalog.toml", "policy.csv"):
        append(second / name)
    for file in bundle.iterdir():
        (links / file.name).symlink_to(file)
    with following(links) as followed:
        for file in sorted(bundle.iterdir()):
            swap(links / file.name, second / file.name)
            followed.until_seen()
        assert not followed.reads
        quiet(0)
        assert "# changed" in followed.until_read(1).bundle.files["policy.csv"]


def test_a_bundle_is_read_again_when_the_directory_above_it_is_replaced_and_ever_after(
    bundle: Path, quiet: Callable[[float], None]
) -> None:
    quiet(0)
    above = bundle.parent
    fresh = above.with_name("fresh")
    shutil.copytree(above, fresh)
    with following(bundle) as followed:
        above.rename(above.with_name("old"))
        followed.until(lambda: bool(followed.policy.problems), "the directory is gone")
        fresh.rename(above)
        followed.until(lambda: not followed.policy.problems, "the directory is back")
        count = len(followed.reads)
        append(bundle / "policy.csv")
        assert followed.until_read(count + 1).changed


def test_a_directory_that_comes_back_file_by_file_is_no_single_step(
    bundle: Path, quiet: Callable[[float], None]
) -> None:
    kept = bundle.with_name("kept")
    shutil.copytree(bundle, kept)
    with following(bundle) as followed:
        shutil.rmtree(bundle)
        followed.until_seen()
        bundle.mkdir()
        for file in sorted(kept.iterdir()):
            shutil.copy(file, bundle)
            followed.until_seen()
        assert not followed.reads
        quiet(0)
        assert not followed.until_read(1).problems


def test_what_is_written_beside_a_bundle_is_no_change_of_it(bundle: Path) -> None:
    """The database may lie there, and would have the bundle read again at every write."""
    before = fingerprint(bundle)
    for beside in (bundle.parent / "wsauthz.db-wal", bundle / ".policy.csv.swp", bundle / "README.md"):
        beside.write_text("write")
    assert fingerprint(bundle) == before


@pytest.mark.parametrize("name", ["catalog.toml", "policy.csv", "tests.yaml", "../model.conf", "routes.yaml"])
def test_every_file_of_a_bundle_counts(bundle: Path, name: str) -> None:
    before = fingerprint(bundle)
    (bundle / name).write_text("x")
    assert fingerprint(bundle) != before


def test_a_bundle_that_changed_while_the_server_was_starting_is_read_again(
    bundle: Path, quiet: Callable[[float], None]
) -> None:
    """Loading the facts takes a while, and nobody polls yet."""
    quiet(0)
    followed = Followed(bundle)
    append(bundle / "policy.csv")

    async def run() -> None:
        task = asyncio.ensure_future(followed.files.follow())
        await asyncio.to_thread(followed.until_read, 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def test_files_that_cannot_be_read_just_now_are_read_again_without_a_change(
    bundle: Path, quiet: Callable[[float], None]
) -> None:
    """A process may run out of open files; that ends by itself, and nothing about the files changes then."""
    quiet(0)
    with following(bundle) as followed:
        with out_of_open_files():
            (bundle / "policy.csv").touch()
            followed.until(lambda: len(followed.reads) > 1, "the files were not read again")
            assert all(read.problems for read in followed.reads)
        followed.until(lambda: not followed.policy.problems, "the refusal stayed")


@contextmanager
def out_of_open_files() -> Iterator[None]:
    """Let this process open no more files within the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_server_needs_no_inotify_to_see_a_change(bundle: Path, sqlite_url: str) -> None:
    """Instances and watches are few, shared with everything that a user runs, and run out."""
    with ServerProcess(sqlite_url, bundle) as server:
        assert server.process is not None
        opened: set[str] = set()
        for link in Path(f"/proc/{server.process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed by now
                opened.add(str(link.readlink()))
        assert "anon_inode:[eventpoll]" in opened
        assert "anon_inode:inotify" not in opened


def test_files_that_did_not_change_are_read_when_that_is_asked_for(
    bundle: Path, quiet: Callable[[float], None]
) -> None:
    with following(bundle) as followed:
        followed.files.ask()
        assert not followed.until_read(1).changed
        (bundle / "policy.csv").write_text("x\n")
        followed.files.ask()  # although they are not quiet
        assert followed.until_read(2).problems
        followed.files.ask()
        followed.until_read(3)


def test_files_that_could_not_be_read_when_that_was_asked_for_are_read_again(
    bundle: Path, quiet: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet(0.0)
    with following(bundle) as followed, monkeypatch.context() as broken:
        broken.setattr(judging.sys, "executable", "/nowhere")  # type: ignore[attr-defined]
        followed.files.ask()
        assert followed.until_read(1).may_pass
        broken.undo()
        followed.until(lambda: not followed.policy.problems, "the files were not read again")
