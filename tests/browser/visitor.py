"""Somebody with a browser. Whatever the test is about, the page asks no other host, breaks no policy and logs no error."""
import urllib.parse

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

JOB = 60_000  # milliseconds that a job may take on a busy machine


class Visitor:
    def __init__(self, browser, url, *, width=1200, height=900, **options):
        self.url, self.wrong, self.expected = url, [], []
        self.context = browser.new_context(base_url=url, viewport={"width": width, "height": height}, **options)
        self.context.set_default_timeout(15_000)
        self.page = self.open()

    def open(self):
        """A tab."""
        page = self.context.new_page()
        page.add_init_script("document.addEventListener('securitypolicyviolation', (event) => console.error('policy violated: ' + event.violatedDirective + ' ' + event.blockedURI))")
        page.on("console", lambda message: message.type in ("error", "warning") and self.wrong.append(f"console: {message.text} ({message.location['url']})"))
        page.on("pageerror", lambda error: self.wrong.append(f"script: {error}"))
        page.on("dialog", self.dialog)
        page.on("request", self.requested)
        return page

    def dialog(self, dialog):
        self.wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def requested(self, request):
        target = urllib.parse.urlsplit(request.url)
        if target.scheme not in ("data", "blob") and f"{target.scheme}://{target.netloc}" != self.url:
            self.wrong.append(f"asks another host: {request.url}")

    def expects(self, *texts):
        """What the browser itself logs for answers like 404 or for a server that is away, and is part of the test."""
        self.expected += texts

    def leave(self):
        self.context.close()
        assert [wrong for wrong in self.wrong if not any(text in wrong for text in self.expected)] == []

    # What people do.

    def plan(self, address):
        self.page.goto("/")
        self.page.get_by_label("A model on the Hub").fill(address)
        self.page.get_by_role("button", name="Plan").click()
        expect(self.page.get_by_role("button", name="Only convert")).to_be_visible(timeout=JOB)

    def convert(self, address, button="Convert and open a pull request"):
        """Plans and converts; gives the sentence."""
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
        expect(sentence).to_be_visible(timeout=JOB)
        return sentence.inner_text()

    def serious(self):
        """What axe finds serious or critical, light and dark."""
        found = []
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            for violation in Axe().run(self.page).response["violations"]:
                if violation["impact"] in ("serious", "critical"):
                    found += [f"{scheme}: {violation['id']}: {violation['help']}: {node['html'][:200]}" for node in violation["nodes"]]
        return found
