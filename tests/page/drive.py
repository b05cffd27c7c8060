"""Opens a page of `convogen report --html` in Chromium, with the network off, and does what people do with it.

    drive.py look PAGE PARQUET        no error, no request; filters and search count what DuckDB counts; axe-core passes
    drive.py hostile PAGE JSONL       texts that would be markup, or tear the page apart, stand there as text
    drive.py review PAGE FILE         accepts, rejects, edits and comments by clicks, and saves the review as FILE
    drive.py shots PAGE FOLDER        pictures of the views, 1,280 and 400 pixels wide, light and dark

CONVOGEN_CHROMIUM names the browser, CONVOGEN_AXE the file axe.min.js.
"""

import contextlib
import json
import os
import pathlib
import sys

from playwright.sync_api import sync_playwright

CHROMIUM = os.environ.get("CONVOGEN_CHROMIUM", "/usr/bin/chromium")


@contextlib.contextmanager
def opened(path, **options):
    """The page, without a network. What it complains of or asks for fails the test."""
    trouble = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(offline=True, accept_downloads=True, **options)
        page = context.new_page()
        page.on("console", lambda said: trouble.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("dialog", lambda dialog: (trouble.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        address = pathlib.Path(path).absolute().as_uri()
        ours = (address, "blob:")
        page.on("request", lambda asked: None if asked.url.startswith(ours) else trouble.append(f"request: {asked.url}"))
        page.goto(address)
        page.wait_for_selector("body[data-ready]")
        yield page
        browser.close()
    assert not trouble, trouble


def go(page, view):
    page.evaluate("view => { location.hash = view }", view)


def told(page):
    """How many conversations are listed."""
    page.wait_for_function("!document.querySelector('#told').textContent.includes('searching')")
    return int(page.locator("#told").text_content().split(" of ")[0].replace(",", ""))


def listed(page):
    """The ids of the rows in sight, from above."""
    return page.evaluate("""() => [...document.querySelectorAll('.rows li')]
        .sort((one, other) => one.getAttribute('aria-posinset') - other.getAttribute('aria-posinset'))
        .map(row => decodeURIComponent(row.firstChild.getAttribute('href').split('/')[3]))""")


def check_access(page, where):
    axe = os.environ.get("CONVOGEN_AXE")
    if not axe:
        print("skipped: CONVOGEN_AXE names no axe.min.js")
        return
    # By the driver, which the page's policy does not hold back as it would the page.
    page.evaluate(pathlib.Path(axe).read_text())
    found = page.evaluate("() => axe.run()")["violations"]
    brief = [(rule["id"], [node["target"] for node in rule["nodes"]][:4]) for rule in found]
    assert not found, f"{where}: {brief}"


SQL = {
    "split": "split = ?",
    "model": "model = ?",
    "ending": "stop_reason = ?",
    "language": "language = ?",
    "situation": "situation_id = ?",
    "gate": "list_contains(json_keys(provenance, '$.handled.flaws'), ?)",
    "mended": "list_contains(json_keys(provenance, '$.handled.mended'), ?)",
}


def look(path, parquet):
    import duckdb

    def rows(where, *values):
        return duckdb.execute(f"select count(*) from '{parquet}' where {where}", values).fetchone()[0]

    with opened(path) as page:
        check_access(page, "overview")
        everything = rows("true")
        go(page, "#/conversations")
        page.wait_for_selector(".row")
        check_access(page, "list")
        page.click("#filter-button")
        counted = 0
        for field in page.locator("select[data-facet]").all():
            facet = field.get_attribute("data-facet")
            where = SQL.get(facet)
            if facet.startswith("cell: "):
                where = f"json_extract_string(attributes, '$.{facet.removeprefix('cell: ')}') = ?"
            for option in field.locator("option").all()[1:]:
                value = option.get_attribute("value")
                if facet == "outcome":
                    expected = everything if value == "accepted" else None
                else:
                    expected = rows(where, value) if where else None
                if expected is None:
                    continue
                field.select_option(value)
                shown = int(option.text_content().rsplit("(", 1)[1].rstrip(")").replace(",", ""))
                assert told(page) == expected == shown, (facet, value, told(page), expected, shown)
                counted += 1
            field.select_option("")
        assert counted > 4, counted
        for least in (1, 2):
            page.fill("[data-number='turned down'][data-end='0']", str(least))
            page.keyboard.press("Tab")
            expected = rows(f"list_sum(list_transform(turns, lambda t: t.attempts - 1)) >= {least}")
            assert told(page) == expected, (least, told(page), expected)
        page.fill("[data-number='turned down'][data-end='0']", "")
        page.keyboard.press("Tab")
        for order, by in [("turned down down", "list_sum(list_transform(turns, lambda t: t.attempts - 1)) desc"), ("turns up", "len(turns)")]:
            page.select_option("#order", order)
            wanted = duckdb.execute(f"select id from '{parquet}' order by {by}, id limit 5").fetchall()
            shown = listed(page)
            assert shown[:5] == [id for (id,) in wanted], (order, shown[:5], wanted)
        page.select_option("#order", "")
        words = "concat_ws(' ', situation, topic, conversation_starter, id, " \
            "array_to_string(list_transform(turns, lambda t: t.text), ' '), array_to_string(list_transform(participants, lambda p: p.name), ' '))"
        sample = duckdb.execute(f"select turns[2].text, participants[1].name from '{parquet}' limit 1").fetchone()
        for text in [sample[0], sample[1].upper(), sample[0].split()[0], "no such words anywhere", "provenance", ",", "]", "\\"]:
            page.fill("#search", text)
            page.wait_for_timeout(400)
            expected = rows(f"contains(lower({words}), lower(?))", text)
            assert told(page) == expected, (text, told(page), expected)
        page.fill("#search", "")
        page.wait_for_timeout(400)
        page.keyboard.press("Escape")
        page.keyboard.press("j")
        page.wait_for_selector(".turn")
        first = page.locator("#talk .id").text_content()
        page.keyboard.press("j")
        page.wait_for_function("first => document.querySelector('#talk .id').textContent !== first", arg=first)
        page.click(".cast summary")
        check_access(page, "conversation")
        page.click(".turn .number >> nth=2")
        page.wait_for_selector("#t3.linked")
        page.keyboard.press("?")
        page.wait_for_selector("#help[open]")
        check_access(page, "help")
        if page.locator("a[href='#/compare']").is_visible():
            page.keyboard.press("Escape")
            page.click("a[href='#/compare']")
            page.wait_for_selector(".both .turn")
            check_access(page, "comparison")
    # Dark colours have contrasts of their own.
    with opened(path, color_scheme="dark") as page:
        check_access(page, "overview, dark")
        go(page, "#/conversations")
        page.click(".row >> nth=0")
        page.wait_for_selector(".turn")
        check_access(page, "conversation, dark")
    print(f"{counted} filters count what DuckDB counts")


def hostile(path, jsonl):
    talks = [json.loads(line) for line in pathlib.Path(jsonl).read_text().split("\n") if line]
    with opened(path) as page:
        for number, talk in enumerate(talks):
            go(page, f"#/c/0/{talk['id']}")
            page.wait_for_function("id => document.querySelector('#talk .id')?.textContent === id", arg=talk["id"])
            said = page.evaluate("() => [...document.querySelectorAll('#talk .said')].map(said => said.textContent)")
            wanted = [turn["text"] for turn in talk["turns"]]
            assert said == wanted, (number, said, wanted)
            names = page.evaluate("() => [...document.querySelectorAll('#talk .who .name')].map(name => name.textContent)")
            assert names == [turn["speaker"] for turn in talk["turns"]], names
        # Neither how a line break is written down nor what stands between two texts is said by anybody.
        go(page, "#/conversations")
        for text, expected in [("nline", 0), ("u0001", 0), ("],[", 0), ("line", 1), ("\x1b[31M", 1), ("e\u0301 今天", 1), ("window.taken = 1</SCRIPT", 1)]:
            page.fill("#search", text)
            page.wait_for_timeout(400)
            assert told(page) == expected, (text, told(page))
        assert page.evaluate("() => window.taken === undefined && document.querySelector('#talk b, #talk img, #talk script') === null")
    print(f"{len(talks)} hostile conversations stand as text")


def review(path, file):
    with opened(path) as page:
        go(page, "#/conversations")
        ids = listed(page)[:5]
        accepted, rejected, anew, edited, commented = ids

        def open_talk(id):
            go(page, f"#/c/0/{id}")
            page.wait_for_function("id => document.querySelector('#talk .id')?.textContent === id", arg=id)

        open_talk(accepted)
        page.keyboard.press("a")
        open_talk(rejected)
        page.click("[data-verdict=reject]")
        page.fill(".comment textarea", "nobody says a word of it")
        open_talk(anew)
        page.hover("#t3")
        page.click("[data-reject='2']")
        page.wait_for_selector(".turn.rejected")
        open_talk(edited)
        page.hover("#t2")
        page.click("[data-edit='1']")
        page.fill("textarea.edit", "I said it in \"other\" words.")
        page.click("[data-done='1']")
        page.wait_for_selector("#t2 .struck")
        check_access(page, "edited turn")
        open_talk(commented)
        page.fill(".comment textarea", "dull </script>")
        page.reload()
        page.wait_for_selector(".turn")
        assert page.locator("#review-count").text_content().strip() == "5", "what was said stays"
        assert page.input_value(".comment textarea") == "dull </script>"
        page.click("#review-button")
        page.fill("#reviewer", "Ada")
        check_access(page, "review")
        with page.expect_download() as saved:
            page.click("#save-review")
        saved.value.save_as(file)
    print(json.dumps({"accepted": accepted, "rejected": rejected, "anew": anew, "edited": edited, "commented": commented}))


def shots(path, folder):
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        for width in (1280, 400):
            with opened(path, color_scheme=scheme, viewport={"width": width, "height": 860}) as page:
                name = f"{folder}/{scheme}-{width}"
                page.screenshot(path=f"{name}-overview.png", full_page=True)
                go(page, "#/conversations")
                page.wait_for_selector(".row")
                page.screenshot(path=f"{name}-list.png")
                page.click(".row >> nth=2")
                page.wait_for_selector(".turn")
                page.screenshot(path=f"{name}-talk.png")
                if page.locator("a[href='#/compare']").is_visible():
                    page.click("a[href='#/compare']")
                    page.wait_for_selector(".both .turn")
                    page.screenshot(path=f"{name}-compare.png", full_page=True)


if __name__ == "__main__":
    {"look": look, "hostile": hostile, "review": review, "shots": shots}[sys.argv[1]](*sys.argv[2:])
