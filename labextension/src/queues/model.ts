// The queues as the server last told them, and what can be done about one.

import { type ISignal, Signal } from '@lumino/signaling';
import type { IDisposable } from '@lumino/disposable';
import type { QueueView } from '../api/generated.js';
import { LiveQuery } from '../sections/LiveQuery.js';
import type { IClient, IJobsModel } from '../tokens.js';

export class QueuesModel implements IDisposable {
  constructor(
    private readonly client: IClient,
    private readonly jobs: IJobsModel
  ) {
    this.query = new LiveQuery(client, 'queue/list', {});
    this.query.changed.connect(() => this._changed.emit());
    jobs.moved.connect(this.onMoved);
  }

  get queues(): readonly QueueView[] {
    return this.query.value?.queues ?? [];
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

  /** Start nothing more of it. Rejects where the server refuses. */
  async pause(queue: string): Promise<void> {
    this.accept(await this.client.call('queue/pause', { queue }));
  }

  async resume(queue: string): Promise<void> {
    this.accept(await this.client.call('queue/resume', { queue }));
  }

  /** Let no more of it run at once; 0: as many as there is room for. */
  async limit(queue: string, at_most: number): Promise<void> {
    this.accept(await this.client.call('queue/limit', { queue, at_most }));
  }

  dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this.jobs.moved.disconnect(this.onMoved);
    this.query.dispose();
    Signal.clearData(this);
  }

  private accept(view: QueueView): void {
    if (this.isDisposed) {
      return;
    }
    const others = this.queues.filter(({ name }) => name !== view.name);
    const queues = [...others, view];
    queues.sort((a, b) => (a.name < b.name ? -1 : 1));
    this.query.accept({ queues });
    this.query.refresh();
  }

  private readonly onMoved = (): void => this.query.refresh();

  private readonly query: LiveQuery<'queue/list'>;
  private readonly _changed = new Signal<this, void>(this);
}
