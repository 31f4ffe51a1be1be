/** Files: XMLHttpRequest alone tells how much of one has been sent. */

import { HubError, errorOfResponse } from "./errors.js";

/**
 * @typedef {object} UploadOptions
 * @property {(sent: number, total: number) => void} [onProgress] in bytes
 * @property {AbortSignal} [signal]
 */

/** @typedef {{ id: string, name: string, content_type: string, size: number }} Upload */

/**
 * Send a file for a case, and say that it is whole.
 *
 * @param {object} options
 * @param {import("./environment.js").Environment} options.environment
 * @param {import("./rest.js").Rest} options.rest
 * @param {import("./token.js").Tokens} options.tokens
 * @param {string} options.case
 * @param {string} options.key of the file: however often it is sent, it is stored once
 * @param {File} file
 * @param {UploadOptions} how
 * @returns {Promise<Upload>}
 * @throws {HubError}
 */
export async function upload({ environment, rest, tokens, case: name, key }, file, how) {
  const headers = { "Idempotency-Key": key };

  const send = async () => {
    const form = new FormData();
    form.append("case", name);
    form.append("file", file, file.name);
    return environment.XMLHttpRequest === undefined
      ? rest.once("POST", "/api/v1/uploads", { body: form, headers, signal: how.signal })
      : sendSlowly(new environment.XMLHttpRequest(), `${rest.url}/api/v1/uploads`, form);
  };

  /**
   * @param {XMLHttpRequest} request
   * @param {string} url
   * @param {FormData} form
   * @returns {Promise<Response>}
   */
  const sendSlowly = (request, url, form) =>
    new Promise((resolve, reject) => {
      const abort = () => request.abort();
      request.open("POST", url);
      for (const [key, value] of Object.entries({ ...tokens.headers, ...headers })) {
        request.setRequestHeader(key, value);
      }
      request.upload.onprogress = (event) => {
        if (event.lengthComputable) how.onProgress?.(event.loaded, event.total);
      };
      request.onload = () => resolve(responseOf(request));
      request.onerror = () => reject(new HubError("unavailable", "The hub did not answer."));
      request.onabort = () => reject(new HubError("aborted", "It was given up."));
      request.onloadend = () => how.signal?.removeEventListener("abort", abort);
      how.signal?.addEventListener("abort", abort);
      if (how.signal?.aborted) reject(new HubError("aborted", "It was given up."));
      else request.send(form);
    });

  await signedIn(() => tokens.valid());
  let response = await send();
  if (response.status === 401) {
    await signedIn(() => tokens.fresh(true));
    response = await send();
  }
  if (!response.ok) throw await errorOfResponse(response);
  const sent = await response.json();
  await rest.ask("POST", "/api/v1/uploads/confirm", {
    body: { case: name, id: sent.id },
    signal: how.signal,
  });
  return sent;
}

/** @param {() => Promise<string>} get */
async function signedIn(get) {
  try {
    await get();
  } catch {
    throw new HubError("unauthenticated", "Nobody is signed in.");
  }
}

/** @param {XMLHttpRequest} request */
function responseOf(request) {
  const after = request.getResponseHeader("Retry-After");
  const headers = new Headers(after === null ? {} : { "Retry-After": after });
  return new Response(request.responseText, { status: request.status, headers });
}
