"""A page for browsers: no script, nothing from elsewhere, readable on light, dark, narrow and printed pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from dynamometer.report.doubts import Doubted
from dynamometer.report.figures import Notes, limited, one_line

STYLE = """
:root{color-scheme:light dark;--ink:#1c2024;--dim:#5b6470;--paper:#fff;--card:#f5f7f9;--line:#d7dce2;
--warn:#8a4b00;--warnbg:#fff4e0;--bad:#a4161a;--badbg:#fdecec;--link:#0b62a4}
@media screen and (prefers-color-scheme:dark){:root{--ink:#e6e9ed;--dim:#9aa4b0;--paper:#15181c;--card:#1d2227;
--line:#343b44;--warn:#ffc46b;--warnbg:#33270f;--bad:#ff9a9d;--badbg:#3a1b1d;--link:#6cb6ff}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem 1.25rem 4rem;max-width:72rem;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif;overflow-wrap:anywhere}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .25rem}h2{font-size:1.2rem;margin:2.5rem 0 .6rem}
h3{font-size:1rem;margin:0}
a{color:var(--link)}p{margin:.4rem 0}.dim{color:var(--dim)}
.scroll{overflow-x:auto;background:linear-gradient(270deg,var(--paper) 40%,transparent) right/3rem 100% no-repeat local,
linear-gradient(270deg,var(--line),transparent) right/1rem 100% no-repeat scroll}
table{border-collapse:collapse;font-size:.92rem;min-width:100%}
th,td{padding:.42rem .75rem;border-bottom:1px solid var(--line);text-align:right;vertical-align:top;white-space:nowrap;
font-variant-numeric:tabular-nums}
thead th{border-bottom:2px solid var(--line);vertical-align:bottom}
th small{display:block;font-weight:400;color:var(--dim)}
thead th{white-space:normal;overflow-wrap:normal}tbody th,th.left,td.left{text-align:left}
tbody th{font-weight:500;white-space:normal;min-width:min(14rem,34vw)}
th:first-child{position:sticky;left:0;background:var(--paper)}
td.left{white-space:normal}
td .range{color:var(--dim);display:block;font-size:.85em}sup{line-height:0}sup a{text-decoration:none;padding:0 .1rem}
.badge{display:inline-block;padding:.05rem .5rem;border:1px solid var(--line);border-radius:1rem;font-size:.85rem}
.banner,.failure{border-left:.3rem solid var(--warn);background:var(--warnbg);padding:.5rem .9rem;margin:.8rem 0}
.failure{border-color:var(--bad);background:var(--badbg)}.failure h3{color:var(--bad)}
pre{overflow-x:auto;font-size:.82rem;line-height:1.35;margin:.5rem 0 0}
ol,ul{padding-left:1.5rem}li{margin:.3rem 0}.hint{color:var(--dim);display:block}
.chart{margin:1.2rem 0;break-inside:avoid}
.chart svg{display:block;width:100%;min-width:34rem;max-width:54rem;height:auto}
figcaption{color:var(--dim);font-size:.87rem}dt{font-weight:600;margin-top:.6rem}dd{margin:0 0 0 1rem}
@media print{body{max-width:none;padding:0;font-size:11px}.scroll{overflow:visible}.chart svg{min-width:0}}
"""


def whole(title: str, sections: Iterable[str], style: str = "") -> str:
    """The page of these sections; empty ones are left out. A policy forbids the browser to load anything.

    ``title`` is HTML already; ``style`` is added to the style sheet.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title} – Dynamometer</title>\n<style>{STYLE}{style}</style>\n</head>\n<body>\n"
        + "\n".join(section for section in sections if section)
        + "\n</body>\n</html>\n"
    )


def safe(text: str) -> str:
    """Plain text as HTML that shows just that."""
    return escape(one_line(text))


def breakable(name: str) -> str:
    """A name that breaks after its slashes rather than anywhere."""
    return safe(name).replace("/", "/<wbr>")


def section(key: str, title: str, body: Iterable[str]) -> str:
    """A section with a heading, or nothing for an empty body."""
    content = "\n".join(body)
    return f'<section id="{key}">\n<h2>{title}</h2>\n{content}\n</section>' if content else ""


def note_list(notes: Notes, anchor: str) -> Iterator[str]:
    """The numbered reasons beneath a table."""
    if notes.texts:
        items = (f'<li id="{anchor}-{n}">{safe(reason)}</li>' for n, reason in enumerate(notes.texts, start=1))
        yield f'<ol class="dim">{"".join(items)}</ol>'


def figure_of(title: str, svg: str, caption: str) -> str:
    """A chart with its title and what it shows."""
    return (
        f'<figure class="chart"><h3>{safe(title)}</h3><div class="scroll">{svg}</div>'
        f"<figcaption>{safe(caption)}</figcaption></figure>"
    )


def doubts_listed(doubts: Sequence[Doubted]) -> Iterator[str]:
    """The numbered doubts; those of one kind share an item, and its hint."""
    if not doubts:
        return
    yield "<ol>"
    for one in doubts:
        hint = f'<span class="hint">Hint: {safe(one.hint)}</span>' if one.hint else ""
        yield f"<li>{'<br>'.join(map(safe, limited(one.messages)))}{hint}</li>"
    yield "</ol>"
