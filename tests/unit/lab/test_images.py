import hashlib
import json
import os
import tarfile
from pathlib import Path

from lab import debian, images
from lab.images import Debian, File, Files, Folder, Image, Link
from lab.steps import Log

HELLO = Files((File("/srv/hello", b"hello\n", mode=0o755), Link("/srv/hi", "hello")))


def test_a_layer_is_named_by_all_that_it_is_made_of(tmp_path: Path) -> None:
    source = tmp_path / "file"
    source.write_text("one", encoding="utf-8")
    layer = Files((File("/a", source),))
    first = images.key(layer)
    source.write_text("two", encoding="utf-8")
    keys = {
        first,
        images.key(layer),
        images.key(Files((File("/a", source, mode=0o755),))),
        images.key(Files((File("/a", source, uid=33),))),
        images.key(Files((File("/b", source),))),
        images.key(Files((Link("/a", "b"),))),
    }
    assert len(keys) == 6


def test_a_changed_parent_changes_what_stands_on_it() -> None:
    assert debian.key(Debian(("git",), Debian())) != debian.key(Debian(("git",), Debian(("curl",))))
    assert debian.key(Debian(("git",), Debian())) != debian.key(Debian(("git",), Debian(), script="true"))


def test_the_same_files_give_the_same_layer_byte_for_byte(log: Log) -> None:
    first = images.build(HELLO, log)
    content = first.path.read_bytes()
    first.path.unlink()
    assert images.build(HELLO, log).path.read_bytes() == content
    assert first.digest == hashlib.sha256(content).hexdigest()


def test_a_layer_that_was_killed_half_way_is_built_again(log: Log) -> None:
    built = images.build(HELLO, log)
    built.path.rename(built.path.with_suffix(".unfinished"))
    assert images.build(HELLO, log).path.exists()


def test_folders_that_a_lower_layer_owns_keep_their_modes(log: Log) -> None:
    layer = Files((File("/etc/x", b""), File("/srv/a/b", b""), Folder("/srv/c", mode=0o700, uid=33)))
    with tarfile.open(images.build(layer, log).path) as tar:
        found = {member.name: member for member in tar}
    assert "root" not in found
    assert found["srv/a"].isdir()
    assert (found["srv/c"].mode, found["srv/c"].uid) == (0o700, 33)


def test_an_archive_holds_a_shared_layer_once_and_says_the_truth(log: Log) -> None:
    other = Files((File("/other", b"other"),))
    wanted = [Image("a/one:1", (HELLO,), command=("x",)), Image("a/two:2", (HELLO, other), entrypoint=("y",))]
    with tarfile.open(images.archive(wanted, log)) as tar:
        names = tar.getnames()
        manifest = json.loads(_read(tar, "manifest.json"))
        for image, entry in zip(wanted, manifest, strict=True):
            config = _read(tar, entry["Config"])
            assert entry["RepoTags"] == [image.name]
            assert hashlib.sha256(config).hexdigest() == images.config_digest(image, log)
            digests = [hashlib.sha256(_read(tar, name)).hexdigest() for name in entry["Layers"]]
            assert json.loads(config)["rootfs"]["diff_ids"] == [f"sha256:{digest}" for digest in digests]
    assert len(names) == len(set(names)) == 2 + 2 + 1


def test_only_what_changed_becomes_a_layer(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    for name in ("kept", "changed", "gone"):
        (root / "etc" / name).write_text(name, encoding="utf-8")
    (root / "old").mkdir()
    (root / "old" / "file").touch()
    before = debian._survey(root)
    (root / "etc" / "changed").write_text("changed!", encoding="utf-8")
    (root / "etc" / "gone").unlink()
    (root / "old" / "file").unlink()
    (root / "old").rmdir()
    (root / "etc" / "new").symlink_to("kept")
    (root / "var/log").mkdir(parents=True)
    (root / "var/log" / "apt.log").touch()
    debian._write_difference(root, before, tmp_path / "layer.tar")
    with tarfile.open(tmp_path / "layer.tar") as tar:
        names = set(tar.getnames())
    assert names == {".wh.old", "etc/.wh.gone", "etc/changed", "etc/new", "var", "var/log"}


def test_what_nobody_used_for_weeks_is_removed(log: Log) -> None:
    used, unused = images.build(HELLO, log), images.build(Files((File("/x", b"x"),)), log)
    os.utime(unused.path, (1, 1))
    images.prune()
    assert used.path.exists()
    assert not unused.path.exists()


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    member = tar.extractfile(name)
    assert member is not None
    return member.read()
