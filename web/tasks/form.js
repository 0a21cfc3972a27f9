// The one thing to type and the one thing to press: an address, perhaps a number, perhaps a token; it starts a job.
import { about, post } from "./api.js";
import { element } from "../shared/dom.js";
import { visible } from "../shared/text.js";

let fields = 0;

/** What was refused, and what to do about it. */
export function problemText({ message, hint }) {
  return [element("strong", {}, visible(message)), hint ? element("span.hint", {}, visible(hint)) : null];
}

/**
 * A folded-up field for a token. take() gives what was typed and empties the field: a token is sent once and kept nowhere.
 * @param {string} summary what one opens it for
 */
export function tokenField(summary) {
  const id = `token-${++fields}`;
  const input = element("input", { id, type: "password", autocomplete: "off", spellcheck: "false", "aria-describedby": `${id}-what`, maxlength: "512" });
  const note = element("p", { id: `${id}-what` }, "It goes to the server once, is used for this job alone and is stored nowhere, neither here nor there.");
  const node = element("details", {}, element("summary", {}, summary), element("div.token", {}, element("label", { for: id }, "Access token"), input, note));
  const take = () => {
    const token = input.value.trim();
    input.value = "";
    return token;
  };
  const open = (why) => { node.open = true; if (why) note.prepend(`${why} `); };
  return { node, take, open };
}

/**
 * A line for what went wrong beside what was typed; show() also marks `input`.
 * @param {HTMLInputElement} [input]
 */
export function problemLine(input) {
  const node = element("p.problem", { id: `problem-${++fields}`, role: "alert", hidden: true });
  const clear = () => {
    node.hidden = true;
    node.replaceChildren();
    input?.removeAttribute("aria-invalid");
  };
  const show = (problem) => {
    node.replaceChildren(...problemText(problem).filter(Boolean));
    node.hidden = false;
    if (!input) return;
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", node.id);
  };
  return { node, show, clear };
}

/**
 * The form that asks for a job of `kind` and goes to its page.
 * @param {import("./main.js").Page} page
 * @param {{kind: string, label: string, press: string, address?: string, number?: string, withNumber?: boolean}} what
 */
export function addressForm(page, { kind, label, press, address = "", number = "", withNumber = false }) {
  const input = element("input", {
    id: "address", name: "address", autocomplete: "off", autocapitalize: "none", spellcheck: "false", required: true, maxlength: "2048", placeholder: "org/name",
  });
  input.value = address;
  const numberInput = element("input", { id: "number", name: "number", inputmode: "numeric", autocomplete: "off", maxlength: "9" });
  numberInput.value = number;
  const button = element("button", {}, press);
  const problem = problemLine(input);
  const token = tokenField("Private model: give a token");

  async function submit() {
    problem.clear();
    const typed = numberInput.value.trim().replace(/^#/, "");
    if (withNumber && typed !== "" && !/^[1-9]\d*$/.test(typed)) {
      problem.show({ message: `${typed} is not the number of a pull request.`, hint: "It is the number behind /discussions/ in its address." });
      numberInput.focus();
      return;
    }
    button.disabled = true;
    try {
      const job = await post("jobs", { kind, address: input.value.trim(), number: typed === "" ? null : Number(typed), token: token.take() });
      page.go(`/jobs/${encodeURIComponent(job.id)}`);
    } catch (refused) {
      problem.show(refused);
      if (refused.code === "denied") token.open();
      input.focus();
    } finally {
      button.disabled = false;
    }
  }

  const fieldsOfForm = withNumber
    ? [element("label.field", { for: "address" }, label, input), element("label.field", { for: "number" }, "Number", numberInput)]
    : [element("label", { for: "address" }, label), input];
  const node = element(withNumber ? "form.address.pair" : "form.address", {
    novalidate: true, onsubmit: (event) => { event.preventDefault(); submit(); },
  }, fieldsOfForm, button, problem.node, token.node);
  const start = (text) => { input.value = text; submit(); };
  const refuse = (refused) => {
    problem.show(refused);
    if (refused.code === "denied") token.open();
  };
  return { node, input, start, refuse };
}

/** The form's heading and the form: how three of the four tasks begin. */
export function taskHead(page, heading, form, lead) {
  return element("section", {}, element("h1", { tabindex: "-1" }, heading), lead ? element("p.lead", {}, lead) : null, form.node);
}

/** Under whose name a pull request would be opened, and a field for another. */
export async function accountField() {
  const { account } = await about();
  const token = tokenField(account ? "Under your own name, or a private model: give a token" : "Give a token with the right to write");
  if (account) token.node.querySelector("p").prepend(`Without a token, the pull request is ${account}'s. `);
  else token.open("This server has no account of its own, so a pull request needs yours.");
  return { token, account };
}
