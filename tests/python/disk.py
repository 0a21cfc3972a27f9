"""A model of a file system that loses on a power loss what was not synced, and rules for programs that use it.

A file that is written is lost until it is synced, and so are changes of a folder's entries until the folder is synced.
POSIX promises no more, although most file systems do more.
"""


class File:
    def __init__(self):
        self.content, self.synced, self.changes = bytearray(), b"", []

    def change(self, event):
        self.changes.append(event)
        apply_change(self.content, event)

    def sync(self):
        self.synced, self.changes = bytes(self.content), []

    def after_power_loss(self, contents):
        """Returns a possible content: `contents` is synced, written, zeros (only the size is written) or half."""
        if contents == "synced" or not self.changes:
            return self.synced
        if contents == "zeros":
            return self.synced.ljust(len(self.content), b"\0")
        if contents == "written":
            return bytes(self.content)
        content, (*whole, last) = bytearray(self.synced), self.changes[: len(self.changes) // 2 + 1]
        for change in [*whole, last._replace(data=last.data[: len(last.data) // 2])]:
            apply_change(content, change)
        return bytes(content)


class Folder:
    def __init__(self):
        self.entries, self.synced = {}, {}

    def sync(self):
        self.synced = dict(self.entries)

    def changed_names(self):
        names = self.entries.keys() | self.synced.keys()
        return [name for name in names if self.entries.get(name) is not self.synced.get(name)]


class Link:
    def __init__(self, text):
        self.text = text


def apply_change(content, event):
    if event.call == "truncate":
        del content[event.offset :]
    size = event.offset + len(event.data)
    content.extend(bytes(max(0, size - len(content))))
    if event.call == "write":
        content[event.offset : size] = event.data


class Disk:
    """The recorded folder. Files that existed before the recording are empty and synced."""

    def __init__(self):
        self.root = Folder()
        self.paths = {self.root: ""}
        self.unsynced = set()  # files and folders
        self.unknown = set()  # paths of files that the recorder did not see created

    def find(self, path, kind=File):
        folder, name = self.parent(path) if path else (None, "")
        node = folder.entries.get(name) if folder else self.root
        if node is None:
            self.unknown.add(path)
            node = folder.entries[name] = folder.synced[name] = kind()
            self.paths[node] = path
        return node

    def parent(self, path):
        folder, _, name = path.rpartition("/")
        return self.find(folder, Folder), name

    def put(self, path, node):
        folder, name = self.parent(path)
        if replaced := folder.entries.get(name):
            self.unsynced.discard(replaced)
        folder.entries[name] = node
        self.paths[node] = path
        self.unsynced.add(folder)

    def take(self, path):
        node = self.find(path)
        folder, name = self.parent(path)
        del folder.entries[name]
        self.unsynced.add(folder)
        return node

    def apply(self, event):
        match event.call:
            case "create":
                self.put(event.path, File())
            case "mkdir":
                self.put(event.path, Folder())
            case "symlink":
                self.put(event.path, Link(event.target))
            case "rename":
                self.put(event.target, self.take(event.path))
            case "link":
                self.put(event.target, self.find(event.path))
            case "unlink":
                self.unsynced.discard(self.take(event.path))
            case "fsync":
                node = self.find(event.path)
                node.sync()
                self.unsynced.discard(node)
            case "write" | "truncate" | "allocate":
                file = self.find(event.path)
                file.change(event)
                self.unsynced.add(file)

    def is_durable(self, path):
        """Whether the name and those of its folders are synced."""
        folder = self.root
        for name in path.split("/") if path else []:
            folder = folder.synced.get(name) if isinstance(folder, Folder) else None
        return folder is not None

    def lost(self, removals=True):
        """Yields the paths of what a power loss loses: changed files, new names and, if `removals`, removed ones."""
        for node in self.unsynced:
            path = self.paths[node]
            if isinstance(node, File):
                yield path
            else:
                for name in node.changed_names():
                    if removals or name in node.entries:
                        yield f"{path}/{name}".lstrip("/")

    def after_power_loss(self, names, contents):
        """Returns a state that the disk may have: path -> bytes, Link or None for a folder.

        `names(path)` tells whether the folder's entries are as written (or as synced); `contents(path)` is an argument
        of File.after_power_loss.
        """
        state = {}

        def walk(folder, path):
            for name, node in (folder.entries if names(path) else folder.synced).items():
                child = f"{path}/{name}".lstrip("/")
                state[child] = node if isinstance(node, Link) else None
                if isinstance(node, Folder):
                    walk(node, child)
                elif isinstance(node, File):
                    state[child] = node.after_power_loss(contents(child))

        walk(self.root, "")
        return state


def is_reply(event):
    return event.call == "send" and (event.path == "stdout" or event.data.startswith(b"HTTP/1.1 2"))


def broken_rules(events, is_scratch, reference):
    """Returns (broken rules, the first for each path; the disk at the end).

    `is_scratch(path)`: the file may be lost at any time. `reference(path)`: None, or a name for the set of files that
    this file belongs to, which make other files reachable.

    1. A file is synced before it gets a name in a durable folder by rename or link.
    2. Everything is durable before a reply.
    3. Everything that is not part of the same reference is durable before a reference changes.
    4. Everything else that was written is durable before a durable file is removed.
    """
    disk, broken = Disk(), {}  # path -> the first broken rule

    def require(event, keep=lambda path: False, removals=True):
        for path in disk.lost(removals):
            if not is_scratch(path) and not keep(path):
                broken.setdefault(path, f"{path} is not durable before {event}")

    for event in events:
        name = event.target if event.call in ("rename", "link") else event.path
        if event.call in ("rename", "link") and not is_scratch(name):
            if getattr(disk.find(event.path), "changes", []) and disk.is_durable(name.rpartition("/")[0]):
                broken.setdefault(event.path, f"{event.path} is not synced before {event}")
        if is_reply(event):
            require(event)
        elif event.call in ("rename", "link", "write") and (same := reference(name)):
            require(event, lambda path: path == event.path or reference(path) == same)
        elif event.call == "unlink" and not is_scratch(name) and disk.is_durable(name):
            require(event, lambda path: path == name, removals=False)
        disk.apply(event)
    return list(broken.values()), disk
