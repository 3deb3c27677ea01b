"""How the tests read a page: tags, words and scripts, with the checks that hold for every report."""

import re
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "hr", "input", "wbr"}


class Page(HTMLParser):
    """Checks that tags are balanced and gathers what the tests ask for."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.words, self.scripts = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("style", "script"):
            self.scripts.append(data)
        else:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def read(path):
    return Page(path.read_text(encoding="utf-8"))


def check_closed(page):
    """Nothing on the page may be fetched."""
    for _, attrs in page.tags:
        for name in ("src", "href", "data", "action", "poster", "srcset"):
            address = attrs.get(name)
            if address and not address.startswith(("#", "data:image/")):
                assert attrs.get("rel") == "noreferrer", address  # the paper's link, which only a click follows
    code = " ".join(page.scripts)
    assert not re.search(r"url\(|@import|https?://|//[a-z]+\.|fetch\(|XMLHttpRequest|import\(", code)
    (policy,) = (meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:;")
