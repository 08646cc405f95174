"""A page as its elements, and files as their digests: what the tests of all reports share."""

import hashlib
import html.parser

VOID = {"meta", "br", "hr", "img", "link", "input", "wbr"}


class Page(html.parser.HTMLParser):
    """Elements of a page; complains where they do not nest."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.ids, self.words = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "script" not in self.open and "style" not in self.open:
            self.words.append(data.strip())

    @property
    def text(self):
        return " ".join(word for word in self.words if word)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(directory):
    return Page((directory / "report.html").read_text())


def digests(directory):
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }
