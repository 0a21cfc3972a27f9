"""A visitor of the page. In every test, the page must not request other hosts, violate its policy or log errors."""
import urllib.parse

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

JOB_TIMEOUT_MS = 60_000
SCROLL_WIDTH = "document.documentElement.scrollWidth"

LOG_VIOLATIONS = """
document.addEventListener('securitypolicyviolation', (event) =>
  console.error('policy violated: ' + event.violatedDirective + ' ' + event.blockedURI))
"""


AXE = Axe().axe_script
RUN_AXE = """
async (options) => (await axe.run({resultTypes: ['violations'], ...options})).violations
  .filter(({impact}) => impact === 'serious' || impact === 'critical')
  .flatMap(({id, help, nodes}) => nodes.map(({html}) => `${id}: ${help}: ${html.slice(0, 200)}`))
"""
# Only colors differ between light and dark mode.
AXE_OPTIONS = {"light": {}, "dark": {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}}
NEXT_FRAME = "new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))"


def new_context(browser, url, **options):
    context = browser.new_context(base_url=url, **options)
    context.set_default_timeout(30_000)
    context.add_init_script(LOG_VIOLATIONS)
    return context


class Visitor:
    """A window without cookies. `context` is one that visitors share, one after the other, with its first tab."""

    def __init__(self, browser, url, *, width=1200, height=900, context=None, **options):
        self.url, self.problems, self.allowed_texts = url, [], []
        self.size = {"width": width, "height": height}
        self.is_shared = context is not None
        self.context = context or new_context(browser, url, **options)
        self.page = self.listen(self.context.pages[0]) if self.context.pages else self.open_tab()

    def open_tab(self):
        return self.listen(self.context.new_page())

    def listen(self, page):
        page.set_viewport_size(self.size)
        for event, listener in self.listeners().items():
            page.on(event, listener)
        return page

    def listeners(self):
        return {"console": self.on_console, "pageerror": self.on_error, "dialog": self.on_dialog,
                "request": self.on_request}

    def on_console(self, message):
        if message.type in ("error", "warning"):
            self.problems.append(f"console: {message.text} ({message.location['url']})")

    def on_error(self, error):
        self.problems.append(f"script: {error}")

    def on_dialog(self, dialog):
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def on_request(self, request):
        target = urllib.parse.urlsplit(request.url)
        if target.scheme not in ("data", "blob") and f"{target.scheme}://{target.netloc}" != self.url:
            self.problems.append(f"request to another host: {request.url}")

    def allow(self, *texts):
        """Allows problems that contain one of the texts, such as what Chromium logs for status 404."""
        self.allowed_texts += texts

    def close(self):
        if self.is_shared:
            self.reset()
        else:
            self.context.close()
        assert [text for text in self.problems if not any(allowed in text for allowed in self.allowed_texts)] == []

    def reset(self):
        """Leaves one empty tab to the next visitor: a new tab costs a second of processor time."""
        first, *others = self.context.pages
        for page in others:
            page.close()
        first.goto("about:blank")
        for event, listener in self.listeners().items():
            first.remove_listener(event, listener)
        self.context.clear_cookies()

    def plan(self, address):
        self.page.goto("/")
        self.page.get_by_label("A model on the Hub").fill(address)
        self.page.get_by_role("button", name="Show plan").click()
        expect(self.page.get_by_role("button", name="Convert for download")).to_be_visible(timeout=JOB_TIMEOUT_MS)

    def convert(self, address, button="Convert and open a pull request"):
        """Plans and converts. Returns the sentence of the result."""
        self.plan(address)
        self.page.get_by_role("button", name=button).click()
        return self.verdict()

    def check(self, address, number=""):
        self.page.goto("/check")
        self.page.get_by_label("A model and the number").fill(address)
        self.page.get_by_label("Number", exact=True).fill(str(number))
        self.page.get_by_role("button", name="Check").click()
        return self.verdict()

    def inspect(self, address):
        self.page.goto("/inspect")
        self.page.get_by_label("A model, one of its files").fill(address)
        self.page.get_by_role("button", name="Inspect").click()
        return self.verdict()

    def verdict(self):
        sentence = self.page.locator(".verdict h1, .verdict .sentence")
        expect(sentence).to_be_visible(timeout=JOB_TIMEOUT_MS)
        return sentence.inner_text()

    def axe_violations(self, widths):
        """Returns the serious and critical violations that axe finds at these widths, in light and dark mode.

        Content that is wider than the window counts as a violation.
        """
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE)
        found = []
        for width in widths:
            self.page.set_viewport_size(self.size | {"width": width})
            self.page.evaluate(NEXT_FRAME)
            if (content_width := self.page.evaluate(SCROLL_WIDTH)) > width:
                found.append(f"{width}: the content is {content_width} pixels wide")
            for scheme, options in AXE_OPTIONS.items():
                self.page.emulate_media(color_scheme=scheme)
                found += [f"{width}, {scheme}: {text}" for text in self.page.evaluate(RUN_AXE, options)]
        self.page.emulate_media(color_scheme="null")
        return found
