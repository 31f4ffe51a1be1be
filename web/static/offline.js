/**
 * Lets a page begin without a network, and be installed. One that an app shows is the app's affair.
 * @module
 */

if ("serviceWorker" in navigator && window.isSecureContext && window.parent === window) {
  const address = "/sw.js";
  // The page's policy takes an address of a script only from a policy that is named in it.
  const types = /** @type {any} */ (window).trustedTypes;
  const trusted = types?.createPolicy("curaway-offline", { createScriptURL: () => address });
  navigator.serviceWorker
    .register(trusted ? trusted.createScriptURL("") : address, { scope: "/", updateViaCache: "none" })
    // A browser that keeps nothing: the page works all the same, with a network.
    .catch(() => {});
}
