/** socket.io-client's side of the seam: what it is asked, and what the test makes happen. */
export class FakeSocket {
  connected = false;
  active = false;
  connects = 0;
  sent = [];
  #listeners = {};

  on(name, listener) {
    this.#listeners[name] = listener;
  }
  connect() {
    this.connects += 1;
    this.active = true;
  }
  disconnect() {
    this.active = false;
    if (this.connected) this.drop();
    return this;
  }
  emit(event, payload, ack) {
    this.sent.push({ event, payload, ack });
  }
  happen(name, payload) {
    this.#listeners[name]?.(payload);
  }
  accept() {
    this.connected = true;
    this.happen("connect");
  }
  drop() {
    this.connected = false;
    this.happen("disconnect");
  }
  refuse(data) {
    this.active = false;
    this.happen("connect_error", Object.assign(new Error(), { data }));
  }
}
