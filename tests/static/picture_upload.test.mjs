import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { PictureUpload } from "../../static/js/picture_upload.js";
import { RequestError } from "../../static/js/requests.js";

const PICTURE = { id: "p1", width: 4, height: 3 };
const file = (size) => new Blob([Uint8Array.from({ length: size }, (_, i) => i % 251)], { type: "image/png" });

/** The server's side; `faults` are told instead of taking a part, in order. */
function server(size, faults = []) {
  const taken = [];
  const asked = [];
  const ask = async (event, payload) => {
    asked.push(event);
    if (event === "picture_upload") return { upload: "u1", next: taken.length };
    const fault = faults.shift();
    if (fault instanceof Error) throw fault;
    if (fault !== undefined) taken.length = fault; // it lost some, or another device sent them
    else if (payload.at === taken.length) for (const byte of new Uint8Array(payload.data)) taken.push(byte);
    return { next: taken.length, ...(taken.length === size ? { picture: PICTURE } : {}) };
  };
  return { ask, taken, asked };
}

describe("PictureUpload", () => {
  it("sends every byte once, in parts, and tells how far it is", async () => {
    const size = 600_000;
    const { ask, taken, asked } = server(size);
    const shares = [];
    const picture = await new PictureUpload({ ask, file: file(size), onProgress: (share) => shares.push(share) }).send();
    assert.deepEqual(picture, PICTURE);
    assert.deepEqual(taken, [...new Uint8Array(await file(size).arrayBuffer())]);
    assert.deepEqual(asked, ["picture_upload", "picture_part", "picture_part", "picture_part"]);
    assert.deepEqual(shares.map((share) => Math.round(share * 100)), [0, 44, 87, 100]);
  });

  it("goes on from where the server says it is", async () => {
    const { ask, taken } = server(600_000, [undefined, 100_000]);
    await new PictureUpload({ ask, file: file(600_000), onProgress() {} }).send();
    assert.deepEqual(taken, [...new Uint8Array(await file(600_000).arrayBuffer())]);
  });

  it("begins again, once, when the upload had expired", async () => {
    const gone = () => new RequestError({ code: "not_found", message: "There is no such upload." });
    const { ask, asked } = server(1_000, [gone()]);
    assert.deepEqual(await new PictureUpload({ ask, file: file(1_000), onProgress() {} }).send(), PICTURE);
    assert.equal(asked.filter((event) => event === "picture_upload").length, 2);
    const never = server(1_000, [gone(), gone(), gone()]);
    await assert.rejects(new PictureUpload({ ask: never.ask, file: file(1_000), onProgress() {} }).send(), { code: "not_found" });
  });

  it("goes on under the same name when it is told to after a long time without a line", async () => {
    const names = [];
    const { ask, taken } = server(600_000, [undefined, new RequestError({ code: "unreachable", message: "" })]);
    const noted = (event, payload) => {
      if (event === "picture_upload") names.push(payload.client_id);
      return ask(event, payload);
    };
    const upload = new PictureUpload({ ask: noted, file: file(600_000), onProgress() {} });
    await assert.rejects(upload.send(), { code: "unreachable" });
    assert.deepEqual(await upload.send(), PICTURE);
    assert.equal(taken.length, 600_000);
    assert.equal(new Set(names).size, 1);
  });

  it("hands a refusal on, and sends nothing after it was cancelled", async () => {
    const { ask } = server(1_000, [new RequestError({ code: "unsupported_media", message: "Not a picture." })]);
    await assert.rejects(new PictureUpload({ ask, file: file(1_000), onProgress() {} }).send(), { code: "unsupported_media" });
    const other = server(600_000);
    const upload = new PictureUpload({ ask: other.ask, file: file(600_000), onProgress: () => upload.cancel() });
    assert.equal(await upload.send(), null);
    assert.equal(other.taken.length, 262_144);
  });
});
