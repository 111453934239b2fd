"use strict";
// Asks the browser for a passkey, and sends its answer with the form. A form with data-passkey="get" or "create" has a
// button, a hidden "credential", and where the challenge comes from. The server checks everything.
(() => {
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const listed = (found) => (found || []).map((each) => ({ ...each, id: bytes(each.id) }));

  const get = async (options) => {
    const made = await navigator.credentials.get({
      publicKey: { ...options, challenge: bytes(options.challenge), allowCredentials: listed(options.allowCredentials) },
    });
    const { authenticatorData, clientDataJSON, signature, userHandle } = made.response;
    return { made, response: {
      authenticatorData: text(authenticatorData), clientDataJSON: text(clientDataJSON), signature: text(signature),
      ...(userHandle && { userHandle: text(userHandle) }),
    } };
  };
  const create = async (options) => {
    const made = await navigator.credentials.create({
      publicKey: {
        ...options, challenge: bytes(options.challenge), user: { ...options.user, id: bytes(options.user.id) },
        excludeCredentials: listed(options.excludeCredentials),
      },
    });
    const { attestationObject, clientDataJSON } = made.response;
    const transports = made.response.getTransports ? made.response.getTransports() : [];
    return { made, response: { attestationObject: text(attestationObject), clientDataJSON: text(clientDataJSON), transports } };
  };

  const words = {
    NotAllowedError: "It was cancelled, or took too long. Nothing was done.",
    InvalidStateError: "This device or security key has a passkey of yours here already.",
    SecurityError: "The browser does not allow passkeys at this address.",
    NotSupportedError: "This device has no passkey that Holdpoint can use.",
  };

  // Before this script is here a click would do nothing, so the buttons come disabled; also those of live updates.
  const enable = () => {
    for (const button of document.querySelectorAll("button[data-needs-script]")) {
      button.removeAttribute("data-needs-script");
      button.disabled = false;
    }
  };
  enable();
  new MutationObserver(enable).observe(document.body, { childList: true, subtree: true });

  const askAnew = () => location.replace(location.pathname + location.search); // never what a form had sent

  // Live updates draw the button anew, so the document listens.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest && event.target.closest("form[data-passkey] button");
    if (!button || button.disabled) return;
    const { challenge, passkey: kind } = button.form.dataset;
    // Meanwhile a live update may draw the form anew: one that is not on the page says and sends nothing.
    const form = () => document.querySelector(`form[data-challenge="${CSS.escape(challenge)}"]`);
    const say = (sentence) => {
      const said = form() && form().querySelector("[data-passkey-said]");
      if (said) { said.textContent = sentence; said.hidden = !sentence; }
    };
    if (!window.PublicKeyCredential) { say("This browser knows no passkeys."); return; }
    button.disabled = true;
    say("");
    try {
      const answer = await fetch(challenge, { method: "POST", body: new URLSearchParams(new FormData(form())) });
      if (!answer.ok || answer.redirected) { askAnew(); return; }
      const { made, response } = await (kind === "get" ? get : create)(await answer.json());
      if (!form()) { askAnew(); return; }
      form().elements.credential.value = JSON.stringify({ id: made.id, rawId: text(made.rawId), type: made.type, response, clientExtensionResults: {} });
      form().requestSubmit();
    } catch (error) {
      say(words[error.name] || "The browser could not use a passkey. Try again.");
    } finally {
      button.disabled = false;
    }
  });
})();
