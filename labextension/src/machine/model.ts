// What the machine has, as the server last told it: kept current while somebody looks, else asked for when there is reason to.

import type { Session } from '@jupyterlab/services';
import { type ISignal, Signal } from '@lumino/signaling';
import type { GpuHolder, LeasesView } from '../api/generated.js';
import { LiveQuery } from '../sections/LiveQuery.js';
import type { IClient, IJobsModel, IMachineModel, Way } from '../tokens.js';
import { holderKey, sessionOf, wayToFree } from './free.js';

/** Kernels and other programs take memory without the ledger's knowing. */
const REST_MS = 3_000;
/** A job is given time to end by itself, then its memory to come back. */
const FREE_TIMEOUT_MS = 60_000;

export class MachineModel implements IMachineModel {
  constructor(
    private readonly client: IClient,
    private readonly jobs: IJobsModel,
    private readonly sessions: Session.IManager
  ) {
    this.query = new LiveQuery(client, 'leases/show', {}, REST_MS);
    this.query.changed.connect(this.onAnswer);
    jobs.changed.connect(this.onJobs);
  }

  get value(): LeasesView | null {
    return this.query.value;
  }

  get problem(): unknown {
    return this.query.problem;
  }

  get at(): number {
    return this._at;
  }

  get freeing(): ReadonlySet<string> {
    return this._freeing;
  }

  get changed(): ISignal<IMachineModel, void> {
    return this._changed;
  }

  get isDisposed(): boolean {
    return this.query.isDisposed;
  }

  get awake(): boolean {
    return this._awake;
  }

  set awake(awake: boolean) {
    this._awake = awake;
    this.query.awake = awake;
  }

  glance(): void {
    this.query.glance();
  }

  notebookOf(holder: GpuHolder): string | null {
    const session = sessionOf(holder, this.sessions.running());
    return session?.type === 'notebook' ? session.path : null;
  }

  wayToFree(holder: GpuHolder): Way | null {
    return wayToFree(holder, this.jobs.jobs, this.sessions.running());
  }

  async free(holder: GpuHolder, way: Way): Promise<void> {
    const key = holderKey(holder);
    if (this._freeing.has(key)) {
      return;
    }
    this.setFreeing([...this._freeing, key]);
    try {
      if (way.by === 'job') {
        await this.jobs.cancel(way.job);
      } else if (way.by === 'session') {
        await this.sessions.shutdown(way.session);
      } else {
        const { process } = way;
        const timeout = FREE_TIMEOUT_MS;
        this.query.accept(
          await this.client.call('leases/free', { process }, { timeout })
        );
      }
      this.query.glance();
    } finally {
      this.setFreeing([...this._freeing].filter(other => other !== key));
    }
  }

  dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this.jobs.changed.disconnect(this.onJobs);
    this.query.dispose();
    Signal.clearData(this);
  }

  private setFreeing(keys: readonly string[]): void {
    this._freeing = new Set(keys);
    this.emit();
  }

  private emit(): void {
    if (!this.isDisposed) {
      this._changed.emit();
    }
  }

  private readonly onAnswer = (): void => {
    if (this.query.problem === null) {
      this._at = Date.now();
    }
    this.emit();
  };

  private readonly onJobs = (): void => this.query.refresh();

  private _at = 0;
  private _awake = false;
  private _freeing: ReadonlySet<string> = new Set();
  private readonly query: LiveQuery<'leases/show'>;
  private readonly _changed = new Signal<this, void>(this);
}
