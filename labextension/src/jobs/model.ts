// The jobs as the server last told them: events where they arrive, a fresh list
// where one is lacking, and an honest word about the connection.

import type { Event } from '@jupyterlab/services';
import { type ISignal, Signal } from '@lumino/signaling';
import { UnreachableError } from '../api/errors.js';
import type { Connection, IClient, IJobsModel } from '../tokens.js';
import * as reconcile from './reconcile.js';
import type { JobsEvent, Snapshot } from './reconcile.js';

const SCHEMA = 'https://schema.snapml-lab.org/jobs/v1';

// The server emits at least every 5 s. After 7 s of silence the list is asked
// for, which also serves where the events' socket alone is broken; after 12 s
// without an answer of either kind, what is shown counts as old.
const PROBE_MS = 7_000;
const LOST_MS = 12_000;
const RETRY_MS = 3_000;
const TIMEOUT_MS = 5_000;
const SPACING_MS = 1_000;
const WATCH_MS = 1_000;

export class JobsModel implements IJobsModel {
  constructor(
    private readonly client: IClient,
    private readonly events: Event.Stream
  ) {
    events.connect(this.onEvent);
    this.timer = window.setInterval(() => this.watch(), WATCH_MS);
    void this.load();
  }

  get jobs(): IJobsModel['jobs'] {
    return this.snapshot.jobs;
  }

  get total(): number {
    return this.snapshot.total;
  }

  get note(): string | null {
    return this.snapshot.note;
  }

  get revision(): number {
    return this.snapshot.revision;
  }

  get loaded(): boolean {
    return this._loaded;
  }

  get connection(): Connection {
    return this._connection;
  }

  get refusal(): unknown {
    return this._refusal;
  }

  get cancelling(): ReadonlySet<string> {
    return this._cancelling;
  }

  get changed(): ISignal<IJobsModel, void> {
    return this._changed;
  }

  get moved(): ISignal<IJobsModel, void> {
    return this._moved;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    window.clearInterval(this.timer);
    this.events.disconnect(this.onEvent);
    this.ending.abort();
    Signal.clearData(this);
  }

  async cancel(job: string): Promise<void> {
    if (this._cancelling.has(job)) {
      return;
    }
    this.setCancelling(new Set([...this._cancelling, job]));
    try {
      const known = this.snapshot.jobs.get(job);
      const view = await this.client.call('jobs/cancel', { job });
      // An event that overtook the answer knows better: the job may have ended.
      if (this.snapshot.jobs.get(job) === known) {
        this.accept(reconcile.merge(this.snapshot, [view]));
      }
    } catch (error) {
      this.setCancelling(
        new Set([...this._cancelling].filter(id => id !== job))
      );
      throw error;
    }
  }

  private readonly onEvent = (_: unknown, emission: Event.Emission): void => {
    const event =
      emission.schema_id === SCHEMA ? reconcile.parseEvent(emission) : null;
    if (event === null) {
      return;
    }
    const { snapshot, missed } = reconcile.follow(this.snapshot, event);
    if (this.loading) {
      this.meanwhile.push(event);
    }
    this.stale ||= missed;
    this.heard();
    this.accept(snapshot);
    if (this.stale && Date.now() - this.asked >= SPACING_MS) {
      void this.load();
    }
  };

  /** Once a second: is the server silent, and is a list due? */
  private watch(): void {
    const now = Date.now();
    const silence = now - this.lastHeard;
    if (silence >= LOST_MS) {
      this.setConnection('lost');
    }
    const wait = this.stale && !this.failed ? SPACING_MS : RETRY_MS;
    const due = this.stale || this.failed || silence >= PROBE_MS;
    if (due && now - this.asked >= wait) {
      void this.load();
    }
  }

  private async load(): Promise<void> {
    if (this.loading) {
      return;
    }
    this.loading = true;
    this.stale = false;
    this.meanwhile = [];
    this.asked = Date.now();
    try {
      const list = await this.client.call(
        'jobs/list',
        { limit: reconcile.LIMIT },
        { timeout: TIMEOUT_MS, signal: this.ending.signal }
      );
      const first = !this._loaded || this._refusal !== null;
      this._loaded = true;
      this._refusal = null;
      this.failed = false;
      this.heard();
      this.accept(
        reconcile.replace(this.snapshot, list, this.meanwhile),
        first
      );
    } catch (error) {
      this.failed = true;
      this.refused(error);
    } finally {
      this.loading = false;
      this.asked = Date.now();
    }
  }

  private refused(error: unknown): void {
    if (error instanceof UnreachableError) {
      this.setConnection('lost');
      return;
    }
    this.heard();
    this._refusal = error;
    this.emit();
  }

  private heard(): void {
    this.lastHeard = Date.now();
    this.setConnection('connected');
  }

  private accept(after: Snapshot, anyway = false): void {
    const before = this.snapshot;
    this.snapshot = after;
    const live = [...this._cancelling].filter(id => {
      const job = after.jobs.get(id);
      return job !== undefined && reconcile.isLive(job);
    });
    if (live.length !== this._cancelling.size) {
      this.setCancelling(new Set(live));
    }
    if (anyway || before.jobs !== after.jobs || before.note !== after.note) {
      this.emit();
    }
    if (before.revision !== after.revision && !this._isDisposed) {
      this._moved.emit();
    }
  }

  private setCancelling(ids: ReadonlySet<string>): void {
    this._cancelling = ids;
    this.emit();
  }

  private setConnection(connection: Connection): void {
    if (this._connection !== connection) {
      this._connection = connection;
      this.emit();
    }
  }

  private emit(): void {
    if (!this._isDisposed) {
      this._changed.emit();
    }
  }

  private snapshot = reconcile.NOTHING;
  private meanwhile: JobsEvent[] = [];
  /** Whether an event was missed, so that a list is needed. */
  private stale = false;
  private loading = false;
  /** Whether the last list did not come. */
  private failed = false;
  private asked = 0;
  private lastHeard = Date.now();
  private readonly timer: number;
  private readonly ending = new AbortController();
  private _loaded = false;
  private _refusal: unknown = null;
  private _connection: Connection = 'connecting';
  private _cancelling: ReadonlySet<string> = new Set();
  private _isDisposed = false;
  private readonly _changed = new Signal<this, void>(this);
  private readonly _moved = new Signal<this, void>(this);
}
