"""Is a folder on a network file system? SQLite's write-ahead log needs memory that all writers share, so not there.

Asked once by a store when it prepares its folder. Where it can't be found out the folder counts as local.
"""

from __future__ import annotations

import re
from pathlib import Path

_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|afs|ncpfs|ceph|lustre|gpfs|beegfs(_nodev)?|glusterfs|orangefs|pvfs2|9p|virtiofs|vboxsf|davfs2?"
    r"|fuse\.(sshfs|glusterfs|ceph|s3fs|rclone|davfs|juicefs|gcsfuse|goofys|mfs|moosefs|blobfuse2?|lustre|vmhgfs-fuse)"
)


def is_network(path: Path, mountinfo: Path = Path("/proc/self/mountinfo")) -> bool:
    """Say whether a folder lies on a network file system, by the mounts that Linux lists."""
    try:
        listed = mountinfo.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return False
    return _NETWORK.fullmatch(_type_of(path.resolve(), listed)) is not None


def _type_of(path: Path, mountinfo: str) -> str:
    """Return the type of the file system that a path is on: of the deepest mount above it, the latest where several.

    Format: proc_pid_mountinfo(5). ``36 35 98:0 /mnt1 /mnt/parent rw,noatime master:1 - ext3 /dev/root rw``.
    """
    deepest, found = -1, ""
    for line in mountinfo.splitlines():
        mount, _, source = line.partition(" - ")
        fields = mount.split(" ")
        if len(fields) < 5 or not source:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), fields[4]))
        if path.is_relative_to(point) and len(point.parts) >= deepest:
            deepest, found = len(point.parts), source.split(" ")[0]
    return found
