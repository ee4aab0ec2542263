"""EnvRepo: the environment repository: its tag, a commit that changes it, and the push. It has no work tree.

A deploy changes one line, keeps every comment, and is pushed without force; when somebody else pushed in between, the
change is made again on top of theirs, unless they set the tag: that is never replaced. Commits are made from git's own
objects, so that nothing of the repository is ever written to the file system. The clone is shallow: it begins at the
newest commit and grows from there; what needs more history fetches more.
"""

from __future__ import annotations

import posixpath
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import tenacity

from rollproof.clients.git import Done, Git, GitError, GitTimeoutError
from rollproof.clients.gitanswers import PushRefusedError, PushUnansweredError, RaceError, check_push, hint_of
from rollproof.clients.overlay import SIZE_MAX, ImageEntry, decoded, find_entry, overriding, with_tag
from rollproof.clients.ownbranch import OwnBranch
from rollproof.clients.tempfolder import make_temporary
from rollproof.core.target import EnvRepo as EnvRepoTarget
from rollproof.core.visible import printable
from rollproof.errors import CannotJudgeError, InputError

__all__ = ["Commit", "EnvRepo", "GitError", "OtherTagError", "PushRefusedError", "PushUnansweredError", "RepoFile"]

_PUSH_ATTEMPTS = 5
_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_FILES = ("100644", "100755")  # modes of regular files; a link (120000) or a submodule (160000) leads elsewhere
_KINDS = {"120000": "a symbolic link", "160000": "a submodule", "040000": "a folder"}
_DEEPER = 50  # commits that are fetched when history is asked for
_STAND_IN = "rollproof-rehearsal"  # the tag of a commit that is made to see whether it can be made
_REVISION = re.compile(r"[0-9a-f]{4,64}\^?")


class OtherTagError(CannotJudgeError):
    """Somebody else set the tag to `found` while we were about to replace another one. Nothing was pushed."""

    def __init__(self, found: str, expected: str, who: str) -> None:
        super().__init__(
            f"somebody else set the tag to {found} meanwhile, by commit {who}; it should still have been {expected}, "
            "so nothing was pushed",
            "repeat the drill when nobody else deploys",
        )
        self.found = found


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of ours: its revision, its parent, the file and the line that it changed (text, and number from 1)."""

    revision: str
    parent: str
    path: str
    line: str
    attempts: int = 1
    forward: bool = False  # a revert that conflicted and became a forward commit
    line_number: int = 0


@dataclass(frozen=True, slots=True)
class RepoFile:
    """The overlay's kustomization at one revision."""

    path: str
    mode: str
    text: str


class EnvRepo:
    """A private clone in a temporary folder. Use as a context manager; `close` removes the folder."""

    def __init__(self, target: EnvRepoTarget, environ: Mapping[str, str]) -> None:
        self._target = target
        self._folder = make_temporary("rollproof-env-")
        try:
            self.git = Git(target, environ, self._folder)
        except BaseException:
            self.close()
            raise
        self._cloned = False
        self._tried: list[Commit] = []  # what the last push tried, also if it was called again

    def __enter__(self) -> EnvRepo:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the clone."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def head(self) -> str:
        """The newest revision of the branch, fetched now."""
        self._fetch()
        return self._head()

    def tag(self, revision: str = "") -> str:
        """The image tag in the overlay at `revision` (default: the newest). InputError if the image is not there."""
        if not revision:
            self._fetch()
        return self._entry(self.overlay(_checked(revision) if revision else self._remote)).tag

    def image(self) -> str:
        """The image's name as it is pulled, by the newest overlay that was fetched: `newName` where it has one."""
        self._fetch_once()
        return self._entry(self.overlay(self._remote)).image

    def who_changed(self) -> str:
        """The newest commit that touched the overlay's kustomization, for people: revision, author, subject."""
        _, shown = self._last_change()
        return printable(shown) or f"that is older than the newest {_DEEPER}"

    def who_set(self, sha: str) -> str:
        """The newest commit that wrote `sha` into the overlay's kustomization. GitError if that is long ago."""
        self._fetch()
        revision, _ = self._last_change(f"-S{sha}")
        if not revision:
            raise GitError(f"no commit that sets {sha} is among the newest {_DEEPER} of {self._target.branch!r}")
        return revision

    def own_branch(self, name: str) -> OwnBranch:
        """A throw-away branch beside the one that is followed. InputError where it would be that one."""
        if name == self._target.branch:
            raise InputError(
                f"{name!r} is the branch that Argo CD follows", "a drill rewrites only branches of its own"
            )
        self._fetch_once()
        return OwnBranch(self.git, self._target.url, name)

    def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Is `ancestor` in the history of `descendant`? Both may be commits that were pushed after the clone."""
        if not (_REVISION.fullmatch(ancestor) and _REVISION.fullmatch(descendant)):
            return False
        for fetched in (False, True):
            if fetched:
                self._fetch()
            done = self.git.run("merge-base", "--is-ancestor", ancestor, descendant)
            if done.code in (0, 1):
                return done.code == 0
        return False

    def rehearse(self, sha: str = "") -> Commit:
        """Make the commit of a release, on top of the newest that was fetched, and push nothing.

        Without a sha with a tag that stands for any. InputError says why such a commit cannot be made.
        """
        self._fetch_once()
        return self._with_tag(self.overlay(self._remote), sha or _STAND_IN, message="a rehearsal: never pushed")

    def check_overrides(self, application: str) -> None:
        """InputError if a file beside the overlay makes Argo CD set the image itself: then our tag changes nothing.

        Argo CD's "Parameter Overrides, Store Overrides In Git"; Argo CD Image Updater writes such files.
        """
        for name in (".argocd-source.yaml", f".argocd-source-{application}.yaml"):
            file = self._first(self._remote, [name])
            entry = overriding(file.path, file.text, self._target.image) if file is not None else ""
            if file is not None and entry:
                message = (
                    f"{file.path} sets the image itself ({printable(entry)}), so that a tag in the overlay changes"
                )
                raise InputError(f"{message} nothing", "take that entry out; does Argo CD Image Updater write it?")

    def may_push(self) -> None:
        """Push a rehearsal's commit as far as it goes without changing anything. PushRefusedError if there is no right.

        Hooks and the rules of a server are met only by a real push.
        """
        for attempt in range(_PUSH_ATTEMPTS):
            self._fetch()
            try:
                self._push(self.rehearse(), "--dry-run")
            except RaceError:
                if attempt + 1 == _PUSH_ATTEMPTS:
                    raise
            else:
                return

    def set_tag(self, sha: str, *, expected: str, message: str, stale: bool = False) -> Commit:
        """Commit `sha` as the overlay's image tag, on top of the branch's newest commit. Not pushed yet.

        `stale`: on top of the newest that was fetched before, as somebody does whose clone is old.
        OtherTagError if the newest has another tag than `expected`, which is to be replaced.
        """
        if not stale:
            self._fetch()
        return self._with_tag(self._newest(expected), sha, message=message)

    def revert(self, revision: str, *, message: str) -> Commit:
        """What `git revert` makes of one commit of ours, on top of the newest: the same merge, and the same message.

        On a conflict a forward commit sets the tag before it. OtherTagError if the newest has another tag than that
        commit set: then it is somebody else's deploy.
        """
        self._fetch()
        theirs = self.overlay(_checked(revision))
        before = self.overlay(f"{revision}^")
        newest = self._newest(self._entry(theirs).tag)
        merged = self._merged(newest.text, theirs.text, before.text)
        tag = self._entry(before).tag
        if merged is None or self._entry(replace(newest, text=merged)).tag != tag:
            return replace(self._with_tag(newest, tag, message=message), forward=True)
        subject = self.git.text("log", "-1", "--format=%s", revision)
        return self._commit(newest, merged, f'Revert "{subject}"\n\nThis reverts commit {revision}.')

    def text(self, name: str) -> str:
        """A file of the overlay's folder, as the newest commit has it, fetched now. InputError if it is not there."""
        self._fetch()
        return self._file(name).text

    def change(self, name: str, edit: Callable[[str], str], *, message: str) -> Commit:
        """Commit another text of a file of the overlay's folder, on top of the newest commit. Not pushed yet."""
        self._fetch()
        file = self._file(name)
        text = edit(file.text)
        pairs = zip(file.text, text, strict=False)
        at = next((at for at, (one, other) in enumerate(pairs) if one != other), len(text))
        return self._commit(file, text, message, at)

    def push(self, make: Callable[[], Commit], made: Commit) -> Commit:
        """Push `made`; when somebody else was first, `make` it again on top and try again. Never forces.

        `make` looks at the tag again, and what it raises ends this. A push that was accepted without our hearing of it
        is found in the branch, and not made again; so call it again with the same `made` when it ended by a GitError.

        Raises PushRefusedError at once when there is no right to push, PushUnansweredError when no answer came,
        GitError when nothing was sent or the attempts are used up.
        """
        if made not in self._tried:
            self._tried = [made]
        commit, attempts = self._tried[-1], 0
        retry = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(RaceError),
            stop=tenacity.stop_after_attempt(_PUSH_ATTEMPTS),
            wait=tenacity.wait_random(0.05, 0.5),
            reraise=True,
        )
        for attempt in retry:
            with attempt:
                attempts += 1
                if attempts > 1 and (arrived := self._arrived()):
                    commit = arrived
                    break
                if attempts > 1:
                    commit = make()
                    self._tried.append(commit)
                self._push(commit)
        return replace(commit, attempts=attempts)

    # -- commits ------------------------------------------------------------------------------------------------

    @property
    def _remote(self) -> str:
        return f"refs/remotes/origin/{self._target.branch}"

    def _head(self) -> str:
        return self.git.text("rev-parse", "--verify", f"{self._remote}^{{commit}}")

    def _arrived(self) -> Commit | None:
        """The commit of this push that is in the branch, although we never heard that it was accepted."""
        head = self.head()
        return next((commit for commit in self._tried if self.is_ancestor(commit.revision, head)), None)

    def _last_change(self, *only: str) -> tuple[str, str]:
        """(revision, words) of the newest such commit to the overlay's kustomization; "" if it lies too far back."""
        path = self.overlay(self._remote).path
        for deeper in (False, True):
            if deeper and not self._deepen():
                break
            said = self.git.text("log", "-1", "--format=%H %h by %an: %s", *only, self._remote, "--", path)
            revision, _, shown = said.partition(" ")
            if revision and revision not in self._edge():  # where the clone begins every file looks new
                return revision, shown
        return "", ""

    def _newest(self, expected: str) -> RepoFile:
        """The overlay of the newest commit that was fetched, if it has that tag."""
        newest = self.overlay(self._remote)
        if (found := self._entry(newest).tag) != expected:
            raise OtherTagError(found, expected, self.who_changed())
        return newest

    def _with_tag(self, file: RepoFile, sha: str, *, message: str) -> Commit:
        if self._entry(file).tag == sha:
            raise InputError(f"{file.path} has {sha} already: there is nothing to commit")
        return self._commit(file, with_tag(file.path, file.text, self._target.image, sha), message)

    def _commit(self, file: RepoFile, text: str, message: str, at: int | None = None) -> Commit:
        """A commit on top of the newest that was fetched, in which one file has another text.

        at: where the line is that it changes, as an offset; None: where the overlay's tag is.
        """
        parent = self._head()
        blob = self.git.text("hash-object", "-w", "--no-filters", "--stdin", stdin=text.encode())
        index = {"GIT_INDEX_FILE": str(self._folder / "rollproof-index")}
        self.git.text("read-tree", parent, environ=index)
        self.git.text("update-index", "--cacheinfo", f"{file.mode},{blob},{file.path}", environ=index)
        tree = self.git.text("write-tree", environ=index)
        revision = self.git.text("commit-tree", tree, "-p", parent, "-F", "-", stdin=f"{message}\n".encode())
        changed = self.git.text("diff-tree", "-r", "-z", "--name-status", parent, revision)
        if changed != f"M\0{file.path}\0":
            raise GitError(f"the commit would change more than {file.path}: {printable(changed)}")
        at = self._entry(replace(file, text=text)).start if at is None else at
        line = text[text.rfind("\n", 0, at) + 1 :].split("\n", 1)[0].strip()
        return Commit(revision, parent, file.path, line, line_number=text.count("\n", 0, at) + 1)

    def _merged(self, newest: str, theirs: str, before: str) -> str | None:
        """The newest text without what one commit did, by git's three-way merge; None if that is a conflict."""
        paths = [self._folder / f"rollproof-{name}" for name in ("newest", "theirs", "before")]
        for path, text in zip(paths, (newest, theirs, before), strict=True):
            path.write_bytes(text.encode())
        done = self.git.run("merge-file", "-p", "-q", *(str(path) for path in paths))
        return done.out.decode() if done.code == 0 else None

    # -- reading ------------------------------------------------------------------------------------------------

    def _entry(self, file: RepoFile) -> ImageEntry:
        return find_entry(file.path, file.text, self._target.image)

    def overlay(self, revision: str) -> RepoFile:
        """The overlay's kustomization at a revision: a regular file, not too long."""
        found = self._first(revision, _NAMES)
        if found is None:
            raise self._no_overlay(revision)
        return found

    def _file(self, name: str) -> RepoFile:
        """Of the overlay's own folder: what lies beside it may be another environment's too."""
        found = self._first(self._remote, [name]) if "/" not in name else None
        if found is None:
            message = f"{self._target.overlay} has no file {name!r} in branch {self._target.branch!r}"
            raise InputError(message, "name a file of the overlay's own folder, as a patch: others may not be its own")
        return found

    def _first(self, revision: str, names: Sequence[str]) -> RepoFile | None:
        """The first of these files that is in the overlay's folder."""
        paths = [posixpath.normpath(posixpath.join(self._overlay_path, name)) for name in names]
        listed = self.git.text("ls-tree", "-z", "-l", "--full-tree", revision, "--", *paths).rstrip("\0")
        found = {path: facts.split() for facts, _, path in (line.partition("\t") for line in listed.split("\0"))}
        if len(found) > 1:  # fluxcd/flux2#635
            message = f"{' and '.join(found)} are both in branch {self._target.branch!r}, and Kustomize refuses that"
            raise InputError(message, "remove all but one")
        path = next((path for path in paths if path in found), "")
        if not path:
            return None
        mode, _, blob, size = found[path]
        if mode not in _FILES:
            message = f"{path} in branch {self._target.branch!r} is {_KINDS.get(mode, 'no file')} and no regular file"
            raise InputError(message, "env_repo.overlay must have the file itself: a link is not followed")
        if int(size) > SIZE_MAX:
            message = f"{path} has {size} bytes, and a kustomization of more than {SIZE_MAX} is not read"
            raise InputError(message, "is env_repo.overlay the right folder?")
        return RepoFile(path, mode, decoded(path, self.git.data("cat-file", "blob", blob)))

    @property
    def _overlay_path(self) -> str:
        return posixpath.normpath(self._target.overlay.strip("/") or ".")

    def _no_overlay(self, revision: str) -> InputError:
        message = f"{self._target.overlay} has no kustomization.yaml in branch {self._target.branch!r}"
        parts = self._overlay_path.split("/")
        for number in range(1, len(parts) + 1):
            place = "/".join(parts[:number])
            mode = self.git.text("ls-tree", "--full-tree", revision, "--", place).partition(" ")[0]
            if mode and mode != "040000":
                what = _KINDS.get(mode, "a file")
                return InputError(f"{message}: {place} is {what}", "env_repo.overlay must name the real folder")
            if not mode and self._overlay_path != ".":
                return InputError(
                    f"{message}: there is no {place}", "env_repo.overlay is the folder of the Kustomize overlay"
                )
        return InputError(message, "env_repo.overlay is the folder of the Kustomize overlay")

    # -- the server ---------------------------------------------------------------------------------------------

    def _fetch_once(self) -> None:
        if not self._cloned:
            self._fetch()

    def _fetch(self) -> None:
        if self._cloned:
            try:
                self._checked_fetch(self._fetched())
            except GitTimeoutError:  # somebody merged a long history: the newest of it will do
                self._checked_fetch(self._fetched(f"--depth={_DEEPER}"))
            return
        if not (self._folder / "HEAD").exists():
            self.git.start()
        done = self._fetched("--depth=1")
        if done.code:
            self._find_branch(done)
            self._checked_fetch(self._fetched())  # a server that knows no shallow clones
        self._cloned = True

    def _fetched(self, *options: str) -> Done:
        refspec = f"+refs/heads/{self._target.branch}:{self._remote}"
        return self.git.run("fetch", "-q", "--no-tags", *options, "origin", refspec)

    def _find_branch(self, failed: Done) -> None:
        """After a fetch that failed: InputError if the branch is not there, GitError if the server cannot be asked."""
        asked = self.git.run("ls-remote", "-q", "--exit-code", "origin", f"refs/heads/{self._target.branch}")
        if asked.code == 2:
            where = f"branch {self._target.branch!r} of {self._target.url}"
            raise InputError(f"there is no {where}", "env_repo.branch is what Argo CD follows, without refs/heads/")
        if asked.code:
            raise self._unfetched(failed)

    def _unfetched(self, done: Done) -> GitError:
        hint = hint_of(done.said) or "is the URL right, is the server up, may we read it?"
        return GitError(f"cannot fetch branch {self._target.branch!r} of {self._target.url}: {done.said}", hint)

    def _checked_fetch(self, done: Done) -> None:
        if done.code:
            self._find_branch(done)
            raise self._unfetched(done)

    def _deepen(self) -> bool:
        """Fetch more history; False if all of it is here, or no more can be had."""
        try:
            return bool(self._edge()) and self._fetched(f"--deepen={_DEEPER}").code == 0
        except GitTimeoutError:
            return False

    def _edge(self) -> frozenset[str]:
        """The commits at which a shallow clone begins."""
        path = self._folder / "shallow"
        return frozenset(path.read_text().split()) if path.is_file() else frozenset()

    def _push(self, commit: Commit, *options: str) -> None:
        branch = f"refs/heads/{self._target.branch}"
        try:
            done = self.git.run("push", "--porcelain", *options, "origin", f"{commit.revision}:{branch}")
        except GitTimeoutError as error:
            if options:
                raise
            raise PushUnansweredError(f"no answer to our push: {error}", error.hint) from None
        check_push(done, url=self._target.url, branch=branch, sure=bool(options))


def _checked(revision: str) -> str:
    """A revision that came from a record. InputError if git could take it for anything else."""
    if not _REVISION.fullmatch(revision):
        raise InputError(f"{printable(revision)!r} is no revision of git")
    return revision
