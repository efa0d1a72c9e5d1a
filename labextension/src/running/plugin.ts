// Puts the live jobs into JupyterLab's panel of what runs, and lets "Shut Down All" end them.

import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import {
  IRunningSessionManagers,
  type IRunningSessions
} from '@jupyterlab/running';
import {
  ITranslator,
  nullTranslator,
  type TranslationBundle
} from '@jupyterlab/translation';
import { type ISignal, Signal } from '@lumino/signaling';
import type { CommandRegistry } from '@lumino/commands';
import { toProblem } from '../api/errors.js';
import type { JobView, State } from '../api/generated.js';
import { STATE_ICONS } from '../icons.js';
import { type Branch, choose, grow } from '../jobs/tree.js';
import { CommandIDs, IClient, IJobsModel } from '../tokens.js';
import { detailOf, titleOf } from './words.js';

/** A notification that closes by itself is shown; without, it only counts up the bell. */
const SEEN_MS = 10_000;
/** As many as one list may have. */
const MOST = 1_000;
/** Who submits goes first, lest more is submitted meanwhile. */
const LIVE: readonly State[] = ['queued', 'starting', 'running'];

export const runningPlugin: JupyterFrontEndPlugin<void> = {
  id: 'snapml-lab:running',
  description: "Lists jobs among JupyterLab's running sessions.",
  autoStart: true,
  requires: [IClient, IJobsModel],
  optional: [IRunningSessionManagers, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    client: IClient,
    jobs: IJobsModel,
    managers: IRunningSessionManagers | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('snapml-lab');
    const { commands } = app;
    managers?.add(new RunningJobs({ client, jobs, commands, trans }));
  }
};

interface RunningJobsOptions {
  readonly client: IClient;
  readonly jobs: IJobsModel;
  readonly commands: CommandRegistry;
  readonly trans: TranslationBundle;
}

class RunningJobs implements IRunningSessions.IManager {
  constructor(private readonly options: RunningJobsOptions) {
    const { jobs, trans } = options;
    this.name = trans.__('SnapML jobs');
    this.shutdownLabel = trans.__('Cancel job');
    this.shutdownAllLabel = trans.__('Shut Down All');
    this.shutdownAllConfirmationText = trans.__(
      'Are you sure you want to cancel all SnapML jobs, those that wait and endpoints included?'
    );
    jobs.changed.connect(() => {
      const shown = this.live();
      const drawn = shown
        .map(job => `${job.id} ${job.state} ${detailOf(job, trans)}`)
        .join('\n');
      if (drawn !== this.drawn) {
        this.drawn = drawn;
        this._changed.emit();
      }
    });
  }

  readonly name: string;
  readonly shutdownLabel: string;
  readonly shutdownAllLabel: string;
  readonly shutdownAllConfirmationText: string;

  get runningChanged(): ISignal<this, void> {
    return this._changed;
  }

  /** The model keeps itself current. */
  refreshRunning(): void {
    this._changed.emit();
  }

  running(): IRunningSessions.IRunningItem[] {
    return this.live().map(job => this.item(job));
  }

  shutdownAll(): void {
    void this.cancelAll();
  }

  /** A step stands after what it is a step of. */
  private live(): JobView[] {
    const flat = (branch: Branch): JobView[] => [
      branch.job,
      ...branch.steps.filter(step => step.live).flatMap(flat)
    ];
    return choose(grow(this.options.jobs.jobs), 'live').flatMap(flat);
  }

  private item(job: JobView): IRunningSessions.IRunningItem {
    const { commands, trans } = this.options;
    const { id, state, name } = job;
    return {
      context: 'snapml-job',
      icon: () => STATE_ICONS[state],
      label: () => name,
      labelTitle: () => titleOf(job, trans),
      detail: () => detailOf(job, trans),
      open: () =>
        void commands.execute(CommandIDs.showJob, { job: id, log: true }),
      shutdown: () => void commands.execute(CommandIDs.cancelJob, { job: id })
    };
  }

  /** Whatever is live by the server's account: the page may list only the latest. */
  private async cancelAll(): Promise<void> {
    const { client, jobs, trans } = this.options;
    const limit = MOST;
    const failed: unknown[] = [];
    try {
      const lists = await Promise.all(
        LIVE.map(state => client.call('jobs/list', { state, limit }))
      );
      const live = lists.flatMap(list => list.jobs);
      const ids = new Set(live.map(({ id }) => id));
      // Cancelling one cancels what it submitted.
      const roots = live.filter(({ parent }) => !ids.has(parent ?? ''));
      for (const { id } of roots) {
        await jobs.cancel(id).catch((error: unknown) => failed.push(error));
      }
    } catch (error) {
      failed.push(error);
    }
    if (failed.length > 0) {
      const { message, fix } = toProblem(failed[0], trans);
      Notification.error(
        trans.__(
          'Not all jobs were cancelled. %1',
          [message, fix].filter(Boolean).join(' ')
        ),
        { autoClose: SEEN_MS }
      );
    }
  }

  private drawn = '';
  private readonly _changed = new Signal<this, void>(this);
}
