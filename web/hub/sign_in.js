// The form for an access token, and the footer that shows who is signed in.
import { ApiError, isAborted } from "../shared/api.js";
import { announce, element } from "../shared/dom.js";
import { problemLine } from "../shared/problem.js";
import { nameNode } from "../shared/text.js";
import { account, signIn, signOut } from "./hub_api.js";
import { navigation } from "./navigation.js";

const tokenHint = "The administrator of this Hub creates tokens with depickle user add NAME.";
let formCount = 0;

/** The form that asks the Hub who owns a token, and draws the page again with it. */
export function signInForm() {
  const noteId = `token-note-${++formCount}`;
  const label = account.name ? "Another access token" : "Access token";
  const input = element("input", {
    type: "password", autocomplete: "off", spellcheck: "false", required: true, "aria-describedby": noteId,
  });
  const problem = problemLine(input);
  const form = element("form.token", { method: "post" },
    element("label.field", {}, label, input),
    element("p.muted", { id: noteId }, "Kept in the memory of this page until you close or reload it. Never stored."),
    problem.node, element("p.actions", {}, element("button", {}, "Sign in")));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    problem.clear();
    try {
      await signIn(input.value.trim());
      announce(`Signed in as ${account.name}.`);
      navigation.redraw();
    } catch (error) {
      if (isAborted(error)) return;
      const isInvalid = error instanceof ApiError && error.status === 401;
      problem.show(isInvalid ? { message: "The token is not valid.", hint: tokenHint } : error);
      input.focus();
    }
  });
  return form;
}

/**
 * Who is signed in, or a form to sign in unless the page itself contains one.
 * @param {boolean} hasForm whether it does
 */
export function accountFooter(hasForm) {
  if (!account.name) {
    return hasForm ? [] : [element("details", {}, element("summary", {}, "Sign in with a token"), signInForm())];
  }
  const button = element("button.link", {
    type: "button", onclick: () => { signOut(); navigation.redraw(); },
  }, "Sign out");
  return [element("p", {}, "Signed in as ", element("strong", {}, nameNode(account.name)),
    account.mayWrite ? ". " : " with a read-only token. ", button)];
}
