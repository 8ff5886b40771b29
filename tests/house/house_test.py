#!/usr/bin/env python3
"""Holds the repository to the rules of the house (house_rules.py). A failure names rule, place and remedy."""

import re
import subprocess
import sys
import unittest
from pathlib import Path

import house_rules

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ["core", "config", "index", "server", "clients", "loadtest", "tests"]


def repository_files():
    """Paths of what git knows or would add; without git, of everything but what is built."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                                check=True, capture_output=True).stdout.decode()
        paths = [p for p in listed.split("\0") if p]
    except (OSError, subprocess.CalledProcessError):
        paths = [str(p.relative_to(ROOT)) for p in ROOT.rglob("*")]
        paths = [p for p in paths if not re.match(r"(build|\.git|\.engram)/", p)]
    return sorted({p for p in paths if (ROOT / p).is_file() and "__pycache__" not in p})


FILES = repository_files()


def text_of(path):
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


class House(unittest.TestCase):
    def hold(self, rule, faults):
        faults = list(faults)
        lines = "\n".join(f"  [{rule}] {path}:{line}: {message}" for path, line, message in faults)
        if faults:
            self.fail(f"{len(faults)} faults:\n{lines}")

    def test_there_is_a_house(self):
        self.assertGreater(sum(p.endswith(".cc") for p in FILES), 20, "hardly a source: this looks in the wrong place")

    def test_every_source_is_built(self):
        lists = {p: text_of(p) for p in FILES if p.endswith("CMakeLists.txt")}

        def built(path):
            folder = Path(path).parent
            nearby = [(str(f / "CMakeLists.txt"), Path(path).relative_to(f)) for f in [folder, *folder.parents]]
            if any(names(lists.get(where, ""), str(relative)) for where, relative in nearby):
                return True
            return any(names(text, path) for text in lists.values())

        def names(text, path):
            return re.search(rf"(?<![\w-]){re.escape(path)}\b", text)

        sources = [p for p in FILES if p.endswith(".cc") and p.split("/")[0] in SOURCES]
        self.hold("every source is built", ((p, 1, "in no CMakeLists.txt: add it there, or delete it")
                                            for p in sources if not built(p)))

    def test_blobs_are_small(self):
        bound = house_rules.LARGEST_BLOB
        sizes = ((p, (ROOT / p).stat().st_size) for p in FILES if not house_rules.within(p, house_rules.LARGE_FOLDERS))
        self.hold("small blobs", ((p, 1, f"{size} bytes, more than {bound}: make it in a test, or keep less of it")
                                  for p, size in sizes if size > bound))

    def test_docs_name_what_exists(self):
        """Links of every page, and paths in backticks of docs/architecture.md, lead somewhere."""
        tops = {p.split("/")[0] for p in FILES if "/" in p}
        folders = {str(f) for p in FILES for f in Path(p).parents}
        faults = []
        for page in (p for p in FILES if p.endswith(".md")):
            for n, line in enumerate(text_of(page).splitlines(), 1):
                for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", line):
                    if not re.match(r"[a-z]+:", target) and not (ROOT / page).parent.joinpath(target).exists():
                        faults.append((page, n, f"links to {target}, which does not exist: mend the link"))
                if page != "docs/architecture.md":
                    continue
                for word in re.findall(r"`([\w.-]+/[\w./{},*-]*)`", line):
                    for path in expand(word.rstrip("/")):
                        if path.split("/")[0] in tops and path not in FILES and path not in folders and \
                                not any(Path(f).match(path) for f in FILES):
                            faults.append((page, n, f"names {path}, which does not exist: name what does"))
        self.hold("docs name what exists", faults)


def expand(word):
    """a/{b,c}.h -> a/b.h, a/c.h"""
    match = re.search(r"\{([^}]*)\}", word)
    if not match:
        return [word]
    return [e for part in match.group(1).split(",") for e in expand(word[:match.start()] + part + word[match.end():])]


class Rules(unittest.TestCase):
    """Each rule objects to its bad examples and to nothing else."""


def add_tests():
    for name, rule in house_rules.RULES.items():
        slug = re.sub(r"\W+", "_", name)

        def over_the_repository(self, name=name, rule=rule):
            self.hold(name, ((p, n, m) for p in FILES if p.endswith(house_rules.TEXT) for n, m in rule(p, text_of(p))))

        def over_examples(self, name=name, rule=rule):
            bad, good = house_rules.EXAMPLES[name]
            for path, text in bad:
                self.assertTrue(list(rule(path, text)), f"[{name}] lets pass {path}: {text[:80]!r}")
            for path, text in good:
                self.assertFalse(list(rule(path, text)), f"[{name}] objects to {path}: {text[:80]!r}")

        setattr(House, f"test_{slug}", over_the_repository)
        setattr(Rules, f"test_{slug}", over_examples)


add_tests()

if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main()
