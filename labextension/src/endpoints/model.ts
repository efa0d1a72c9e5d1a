// The endpoints as the server last told them, and as events have it since.

import { Debouncer } from '@lumino/polling';
import type { IDisposable } from '@lumino/disposable';
import { type ISignal, Signal } from '@lumino/signaling';
import type { JobView } from '../api/generated.js';
import { LiveQuery } from '../sections/LiveQuery.js';
import type { IClient, IJobsModel } from '../tokens.js';
import { current, type Picture, services } from './reconcile.js';

/** A deployment's entry in the catalog is changed a moment after its job, and no event tells of that. */
const SETTLED_MS = 1_500;
/** Stopping waits until the processes are seen gone. */
const STOP_TIMEOUT_MS = 60_000;

export class EndpointsModel implements IDisposable {
  constructor(
    private readonly client: IClient,
    private readonly jobs: IJobsModel
  ) {
    this.query = new LiveQuery(client, 'endpoints/list', {});
    this.query.changed.connect(this.emit);
    this.services = services(jobs.jobs);
    jobs.changed.connect(this.onJobs);
    jobs.moved.connect(this.onMoved);
  }

  /** Null before the first list. */
  get picture(): Picture | null {
    const { value } = this.query;
    return value === null ? null : current(value, this.jobs.jobs);
  }

  get problem(): unknown {
    return this.query.problem;
  }

  /** Names of deployments somebody asked to stop here. */
  get stopping(): ReadonlySet<string> {
    return this._stopping;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get isDisposed(): boolean {
    return this.query.isDisposed;
  }

  set awake(awake: boolean) {
    this.query.awake = awake;
  }

  /** Withdraw a deployment and stop what serves it. Rejects where the server refuses. */
  async stop(name: string): Promise<void> {
    if (this._stopping.has(name)) {
      return;
    }
    this._stopping = new Set([...this._stopping, name]);
    this.emit();
    try {
      const timeout = STOP_TIMEOUT_MS;
      const list = await this.client.call('undeploy', { name }, { timeout });
      this.query.accept(list);
    } finally {
      this._stopping = new Set(
        [...this._stopping].filter(other => other !== name)
      );
      this.emit();
    }
  }

  dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this.jobs.changed.disconnect(this.onJobs);
    this.jobs.moved.disconnect(this.onMoved);
    this.settled.dispose();
    this.query.dispose();
    Signal.clearData(this);
  }

  private readonly emit = (): void => {
    if (!this.isDisposed) {
      this._changed.emit();
    }
  };

  private readonly onMoved = (): void => this.query.refresh();

  private readonly onJobs = (): void => {
    const now = services(this.jobs.jobs);
    const before = this.services;
    if (
      now.length !== before.length ||
      now.some((view, index) => view !== before[index])
    ) {
      this.services = now;
      this.query.refresh();
      void this.settled.invoke();
      this.emit();
    }
  };

  private services: JobView[];
  private _stopping: ReadonlySet<string> = new Set();
  private readonly query: LiveQuery<'endpoints/list'>;
  private readonly settled = new Debouncer(
    () => this.query.refresh(),
    SETTLED_MS
  );
  private readonly _changed = new Signal<this, void>(this);
}
