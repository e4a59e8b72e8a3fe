// A client of ImageBlur: the generated one, and what files need.

import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Client, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import {
  BlurService,
  type OrderHeaderSchema,
  type StreamBlurOrderRequestSchema,
  type WatchStatusResponse,
} from "./gen/imageblur/v1/blur_service_pb.js";
import { OrderState, type Order } from "./gen/imageblur/v1/order_pb.js";
import { SubscriptionService } from "./gen/imageblur/v1/subscription_service_pb.js";

export * from "./gen/imageblur/v1/blur_service_pb.js";
export * from "./gen/imageblur/v1/order_pb.js";
export * from "./gen/imageblur/v1/subscription_service_pb.js";
export { Code, ConnectError };

const CHUNK_BYTES = 1024 * 1024;
const RETRIES = 8;
const LATER = new Set([Code.Unavailable, Code.ResourceExhausted]);
const ENDED = new Set([
  OrderState.SUCCEEDED,
  OrderState.PARTIALLY_FAILED,
  OrderState.FAILED,
  OrderState.CANCELLED,
  OrderState.EXPIRED,
]);

export interface Options {
  /** URL of the gateway; default: `http://127.0.0.1:50051`. */
  server?: string;
  /** API key, sent with every call: over `https`, or to this machine. */
  key?: string;
}

/** A client of one server. Calls throw a ConnectError. */
export class ImageBlur {
  /** All calls about orders, as in the protos. */
  readonly orders: Client<typeof BlurService>;
  /** All calls about the newsletter. */
  readonly newsletter: Client<typeof SubscriptionService>;

  constructor({ server = "http://127.0.0.1:50051", key = "" }: Options = {}) {
    const { protocol, hostname } = new URL(server);
    if (key && protocol !== "https:" && !["127.0.0.1", "localhost", "[::1]"].includes(hostname)) {
      throw new ConnectError(`the API key would be sent to ${hostname} unencrypted: use https`, Code.Unauthenticated);
    }
    const authorize: Interceptor = (next) => (request) => {
      if (key) request.header.set("authorization", `Bearer ${key}`);
      return next(request);
    };
    const transport = createGrpcTransport({ baseUrl: server, interceptors: [authorize] });
    this.orders = createClient(BlurService, transport);
    this.newsletter = createClient(SubscriptionService, transport);
  }

  /** Places an order of any size; reads the files in chunks. */
  async order(files: string | string[], header: MessageInitShape<typeof OrderHeaderSchema> = {}): Promise<Order> {
    const paths = Array.isArray(files) ? files : [files];
    const sizes = await Promise.all(paths.map(async (path) => (await stat(path)).size));
    async function* parts(): AsyncGenerator<MessageInitShape<typeof StreamBlurOrderRequestSchema>> {
      yield { part: { case: "start", value: { order: header, imageCount: paths.length } } };
      for (const [index, path] of paths.entries()) {
        yield { part: { case: "image", value: { filename: basename(path), sizeBytes: BigInt(sizes[index] ?? 0) } } };
        for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
          yield { part: { case: "chunk", value: chunk as Uint8Array<ArrayBuffer> } };
        }
      }
    }
    const { order } = await this.orders.streamBlurOrder(parts());
    if (!order) throw new ConnectError("the server returned no order", Code.Internal);
    return order;
  }

  /** Yields the order, then its changes until it has ended and no delivery is open; goes on after lost connections. */
  async *watch(orderId: string): AsyncGenerator<WatchStatusResponse> {
    let complete = 0n; // a revision may come in several messages, and is complete when a later one follows
    let newest = 0n;
    let ended = false;
    for (let failures = 0; ; failures += 1) {
      try {
        for await (const change of this.orders.watchStatus({ orderId, afterRevision: complete })) {
          const revision = change.order?.revision ?? 0n;
          if (revision > newest) [complete, newest, failures] = [newest, revision, 0];
          ended = ENDED.has(change.order?.state ?? OrderState.UNSPECIFIED);
          yield change;
        }
        if (ended) return;
      } catch (error) {
        if (!LATER.has(ConnectError.from(error).code) || newest === 0n || failures >= RETRIES) throw error;
      }
      await sleep(Math.min(250 * 2 ** failures, 5000));
    }
  }

  /** Saves the results in a folder, each complete or not at all; returns their paths. */
  async download(orderId: string, folder: string): Promise<string[]> {
    await mkdir(folder, { recursive: true });
    const saved: string[] = [];
    let file: PartialFile | undefined;
    try {
      for await (const { part } of this.orders.downloadImages({ orderId })) {
        if (part.case === "file") {
          if (file) saved.push(await file.finish());
          // Names are safe, and unique in the order; basename() in case a server is not.
          file = new PartialFile(join(folder, basename(part.value.filename)), part.value.sha256);
        } else if (part.case === "chunk") {
          await file?.write(part.value);
        }
      }
      if (file) saved.push(await file.finish());
    } catch (error) {
      await file?.discard();
      throw error;
    }
    return saved;
  }
}

class PartialFile {
  readonly #path: string;
  readonly #sha256: Uint8Array;
  readonly #hash = createHash("sha256");
  readonly #stream;

  constructor(path: string, sha256: Uint8Array) {
    this.#path = path;
    this.#sha256 = sha256;
    this.#stream = createWriteStream(`${path}.part`);
  }

  write(chunk: Uint8Array): Promise<void> {
    this.#hash.update(chunk);
    return new Promise((resolve, reject) => this.#stream.write(chunk, (error) => (error ? reject(error) : resolve())));
  }

  async finish(): Promise<string> {
    await new Promise<void>((resolve) => this.#stream.end(() => resolve()));
    if (this.#sha256.length && !this.#hash.digest().equals(this.#sha256)) {
      throw new ConnectError(`${this.#path}: the received bytes are damaged`, Code.DataLoss);
    }
    await rename(`${this.#path}.part`, this.#path);
    return this.#path;
  }

  async discard(): Promise<void> {
    this.#stream.destroy();
    await rm(`${this.#path}.part`, { force: true });
  }
}
