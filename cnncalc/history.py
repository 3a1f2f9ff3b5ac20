"""The specs of a git repository: as they were at a revision and as they are now."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from cnncalc import sources
from cnncalc.errors import CnncalcError
from cnncalc.graph import Graph
from cnncalc.targets import ENDINGS, is_spec


class File(NamedTuple):
    """A spec at one time: its path relative to here, its name in messages, and its text."""

    path: str
    name: str
    text: str


class Change(NamedTuple):
    """A spec before and after; ``None`` where it did not or does not exist."""

    before: File | None
    after: File | None

    @property
    def path(self) -> str:
        """Its path now, or its last one."""
        one = self.after or self.before
        assert one is not None
        return one.path


class Net(NamedTuple):
    """A net of a spec before and after: a graph, the error from reading it, or ``None``."""

    variant: str | None
    change: Change
    before: Graph | CnncalcError | None
    after: Graph | CnncalcError | None

    @property
    def label(self) -> str:
        """Its name in messages."""
        return self.change.path if self.variant is None else f"{self.change.path} ({self.variant})"


class Changes(NamedTuple):
    """The specs that changed, and the number of those that did not."""

    changes: list[Change]
    unchanged: int


def changes(revision: str, paths: Sequence[str]) -> Changes:
    """How the specs at or below ``paths`` changed since a revision.

    Files that git ignores are left out, files not yet added are included. A renamed spec is one change.

    Args:
        revision: a commit, branch or tag; ``main...`` is where this branch left main, as in ``git diff``.
        paths: files or folders, which may no longer exist.

    Raises:
        CnncalcError: this is not a git repository, or it has no such revision.
    """
    repository = _Repository()
    commit = repository.commit(revision)
    inside = [repository.inside(path) for path in paths]
    old, new = repository.specs_at(commit, inside), repository.specs_now(inside)
    renamed = repository.renames(commit, inside)
    found, unchanged = [], 0
    for path in sorted({*old, *new}):
        before, after = old.get(renamed.get(path, path)), new.get(path)
        if after is None and path in renamed.values():
            continue
        if before is not None and after is not None and before == after and path not in renamed:
            unchanged += 1
            continue
        was, now = repository.shown(renamed.get(path, path)), repository.shown(path)
        found.append(
            Change(
                None if before is None else File(was, f"{revision}:{was}", before),
                None if after is None else File(now, now, after),
            )
        )
    return Changes(found, unchanged)


def nets(changes: Changes) -> Iterator[Net]:
    """Every net of the specs that changed."""
    for change in changes.changes:
        old, new = _nets(change.before), _nets(change.after)
        for variant in dict.fromkeys([*new, *old]):
            yield Net(variant, change, old.get(variant), new.get(variant))


def _nets(file: File | None) -> dict[str | None, Graph | CnncalcError]:
    """The nets of a spec by variant; ``None`` is the spec with its own arguments. Errors are values here.

    A spec that has variants gives one net for each; also one for its own arguments, if no variant has the same.
    """
    if file is None:
        return {}
    try:
        names = sources.variants_of(file.name, file.text)
    except CnncalcError as error:
        return {None: error}
    found: dict[str | None, Graph | CnncalcError] = {name: _load(file, name) for name in names}
    own = _load(file, None)
    graphs = [graph.args for graph in found.values() if isinstance(graph, Graph)]
    if not names or (isinstance(own, Graph) and own.args not in graphs):
        found[None] = own
    return found


def _load(file: File, variant: str | None) -> Graph | CnncalcError:
    try:
        return sources.load_text(file.text, file.name, variant=variant)
    except CnncalcError as error:
        return error


class _Repository:
    """The git repository around the current folder."""

    def __init__(self) -> None:
        self.root = os.path.realpath(os.fsdecode(_git("rev-parse", "--show-toplevel").rstrip(b"\n")))

    def commit(self, revision: str) -> str:
        """The hash of a revision's commit."""
        name, branched, rest = revision.partition("...")
        if branched and rest:
            raise CnncalcError(
                f"--git {revision}: the other side is always the files as they are\n  hint: write --git {name}..."
            )
        commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", missing=True)
        if not commit:
            raise CnncalcError(
                f"--git {revision}: there is no such revision here\n"
                "  hint: in CI, fetch it first: a checkout of depth 1 has one commit only"
            )
        if not branched:
            return commit.decode().strip()
        base = _git("merge-base", commit.decode().strip(), "HEAD", missing=True)
        if not base:
            raise CnncalcError(
                f"--git {revision}: this branch and {name} have no common commit\n"
                "  hint: in CI, check out with the whole history (fetch-depth: 0)"
            )
        return base.decode().strip()

    def inside(self, path: str) -> str:
        """A path relative to the repository's root."""
        folder, name = os.path.split(os.path.abspath(path))
        relative = os.path.relpath(os.path.join(os.path.realpath(folder), name), self.root)
        if relative.split(os.sep)[0] == os.pardir:
            raise CnncalcError(f"{path}: error: lies outside the git repository {self.root}")
        return relative.replace(os.sep, "/")

    def shown(self, path: str) -> str:
        """A path of the repository relative to here."""
        return os.path.relpath(os.path.join(self.root, path), os.path.realpath(os.curdir))

    def specs_at(self, commit: str, paths: Sequence[str]) -> dict[str, str]:
        """The texts of the specs at a commit by path."""
        listed = _git("ls-tree", "-r", "-z", "--full-tree", commit, "--", *_below(paths), cwd=self.root)
        blobs = {}
        for line in filter(None, listed.split(b"\0")):
            about, _, name = line.partition(b"\t")
            mode, _, blob = about.split()[:3]
            if mode.startswith(b"100") and _may_be_spec(os.fsdecode(name)):
                blobs[os.fsdecode(name)] = blob
        texts = _contents(list(blobs.values()), self.root)
        return _specs(zip(blobs, texts, strict=True), prefix=f"{commit[:10]}:")

    def specs_now(self, paths: Sequence[str]) -> dict[str, str]:
        """The texts of the specs of the working tree by path."""
        listed = _git(
            "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *_below(paths), cwd=self.root
        )
        files = []
        for name in sorted({os.fsdecode(name) for name in listed.split(b"\0") if name}):
            whole = os.path.join(self.root, name)
            if _may_be_spec(name) and os.path.isfile(whole) and not os.path.islink(whole):
                with open(whole, "rb") as file:
                    files.append((name, file.read()))
        return _specs(files)

    def renames(self, commit: str, paths: Sequence[str]) -> dict[str, str]:
        """New path → old path of the files that git considers renamed."""
        what = ("diff", "--name-status", "--find-renames", "--diff-filter=R", "-z", commit)
        told = _git(*what, "--", *_below(paths), cwd=self.root)
        fields = [os.fsdecode(field) for field in told.split(b"\0")]
        return {new: old for old, new in zip(fields[1::3], fields[2::3], strict=False) if _may_be_spec(old)}


def _below(paths: Sequence[str]) -> list[str]:
    """Paths in git's syntax: names, not patterns; empty for the whole repository."""
    return [] if "." in paths else [f":(literal){path}" for path in paths]


def _may_be_spec(path: str) -> bool:
    return path.endswith(ENDINGS) and not any(part.startswith(".") for part in path.split("/"))


def _specs(files: Iterable[tuple[str, bytes]], prefix: str = "") -> dict[str, str]:
    """The files that are specs; a file that is not UTF-8 is not a spec."""
    found = {}
    for name, data in files:
        try:
            text = sources.decode(prefix + name, data)
        except CnncalcError:
            continue
        if is_spec(text):
            found[name] = text
    return found


def _contents(blobs: Sequence[bytes], root: str) -> list[bytes]:
    """The contents of blobs, with one call of git."""
    told = _git("cat-file", "--batch", cwd=root, input=b"".join(blob + b"\n" for blob in blobs)) if blobs else b""
    contents, at = [], 0
    for _ in blobs:
        end = told.index(b"\n", at)
        size = int(told[at:end].split()[2])
        contents.append(told[end + 1 : end + 1 + size])
        at = end + size + 2
    return contents


def _git(*arguments: str, cwd: str | None = None, input: bytes | None = None, missing: bool = False) -> bytes:
    """Git's output; ``missing``: a failure gives an empty answer.

    Raises:
        CnncalcError: git is not installed, or reports an error.
    """
    try:
        result = subprocess.run(["git", *arguments], cwd=cwd, input=input, capture_output=True, check=False)
    except FileNotFoundError:
        raise CnncalcError("--git: git is not installed") from None
    if result.returncode and not missing:
        said = os.fsdecode(result.stderr).strip().splitlines()
        raise CnncalcError(f"git: {said[0] if said else f'exit status {result.returncode}'}")
    return b"" if result.returncode else result.stdout
