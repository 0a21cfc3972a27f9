// The forms that start a job: an address, a pull request number, a token.
import { element } from "../shared/dom.js";
import { problemLine } from "../shared/problem.js";
import { about, jobPath, post } from "./api.js";

/** @typedef {import("./main.js").Page} Page */
/** @typedef {ReturnType<typeof addressForm>} AddressForm */

const numberHint = "The number follows /discussions/ in the URL of the pull request.";
let tokenCount = 0;

/**
 * Whether a token may help.
 * @param {unknown} error
 */
export const isDenied = (error) => /** @type {{code?: string}} */ (error)?.code === "denied";

/**
 * A closed <details> with a field for a token. take() returns the typed token and empties the field.
 * @param {string} summary
 */
export function tokenField(summary) {
  const id = `token-${++tokenCount}`;
  const input = element("input", {
    id, type: "password", autocomplete: "off", spellcheck: "false", "aria-describedby": `${id}-note`, maxlength: "512",
  });
  const note = element("p", { id: `${id}-note` },
    "The token is sent to the server once, used only for this job, and never stored.");
  const node = element("details", {}, element("summary", {}, summary),
    element("div.token", {}, element("label", { for: id }, "Access token"), input, note));
  const take = () => {
    const token = input.value.trim();
    input.value = "";
    return token;
  };
  /** @param {string} [reason] */
  const open = (reason) => {
    node.open = true;
    if (reason) addNote(reason);
  };
  /** @param {string} text */
  const addNote = (text) => note.prepend(`${text} `);
  return { node, take, open, addNote };
}

/**
 * @param {string} label
 * @param {HTMLInputElement} input
 */
const labeled = (label, input) => element("label.field", { for: input.id }, label, input);

/** @param {string} address */
function addressInput(address) {
  const input = element("input", {
    id: "address", name: "address", autocomplete: "off", autocapitalize: "none", spellcheck: "false", required: true,
    maxlength: "2048", placeholder: "org/name",
  });
  input.value = address;
  return input;
}

/** @param {string} number of a pull request */
function pullRequestInput(number) {
  const input = element("input", {
    id: "number", name: "number", inputmode: "numeric", autocomplete: "off", maxlength: "9",
  });
  input.value = number;
  return input;
}

/**
 * The form that starts a job of `kind` and shows the job's page.
 * @param {Page} page
 * @param {object} options
 * @param {import("./api_types").JobKind} options.kind
 * @param {string} options.label
 * @param {string} options.buttonText
 * @param {string} [options.address]
 * @param {string} [options.number]
 * @param {boolean} [options.hasNumber] whether the form asks for the number of a pull request
 */
export function addressForm(page, { kind, label, buttonText, address = "", number = "", hasNumber = false }) {
  const input = addressInput(address);
  const numberInput = pullRequestInput(number);
  const button = element("button", {}, buttonText);
  const problem = problemLine(input);
  const token = tokenField("Use a token for a private model");

  const showError = (/** @type {unknown} */ error) => {
    problem.show(error);
    if (isDenied(error)) token.open();
  };
  async function submit() {
    problem.clear();
    const typed = hasNumber ? numberInput.value.trim().replace(/^#/, "") : "";
    if (typed !== "" && !/^[1-9]\d*$/.test(typed)) {
      problem.show({ message: `${typed} is not the number of a pull request.`, hint: numberHint });
      numberInput.focus();
      return;
    }
    button.disabled = true;
    const requested = { kind, address: input.value.trim(), number: typed === "" ? null : Number(typed) };
    try {
      const job = await post("jobs", { ...requested, token: token.take() });
      page.go(`/${jobPath(job.id)}`);
    } catch (error) {
      showError(error);
      input.focus();
    } finally {
      button.disabled = false;
    }
  }

  const fields = hasNumber
    ? [labeled(label, input), labeled("Number", numberInput)]
    : [element("label", { for: input.id }, label), input];
  const node = element(hasNumber ? "form.address.with-number" : "form.address", {
    novalidate: true, onsubmit: (event) => { event.preventDefault(); submit(); },
  }, fields, button, problem.node, token.node);
  const start = (/** @type {string} */ text) => { input.value = text; submit(); };
  /** Focuses the button if an address was given, else the field. */
  const focus = () => {
    if (address) button.focus();
    else focusInput(input);
  };
  return { node, input, start, showError, focus };
}

/**
 * Focuses `input`, except on a touch screen, which would open its keyboard.
 * @param {HTMLInputElement} input
 */
export function focusInput(input) {
  if (matchMedia("(hover: hover)").matches) input.focus();
}

/**
 * The heading of a task and its form.
 * @param {string} heading
 * @param {AddressForm} form
 */
export function taskHead(heading, form) {
  return element("section", {}, element("h1", { tabindex: "-1" }, heading), form.node);
}

/** A token field that says which account opens a pull request without a token. */
export async function accountField() {
  const { account } = await about();
  const token = tokenField(account ? "Use your own token" : "Use a token that may write");
  if (account) token.addNote(`Without a token, ${account} opens the pull request.`);
  else token.open("This server has no account. Your token is needed to open a pull request.");
  return { token, account };
}

/**
 * Posts a new job and shows its page. Shows an error on `problem`.
 * @param {Page} page
 * @param {import("../shared/problem.js").ProblemLine} problem
 * @param {Record<string, unknown>} request
 */
export async function startJob(page, problem, request) {
  problem.clear();
  try {
    const job = await post("jobs", request);
    page.go(`/${jobPath(job.id)}`);
  } catch (error) {
    problem.show(error);
  }
}
