// Tells when jobs end: in JupyterLab, and on the desktop while nobody looks at the page.

import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import type { IDisposable } from '@lumino/disposable';
import type { JobView } from '../api/generated.js';
import { contentsPath } from '../notebooks/openCell.js';
import { CommandIDs, type IJobsModel, type ISidebar } from '../tokens.js';
import { alive, endedOf, isNews, type Notice, notice } from './ended.js';
import type { Memory } from './memory.js';

/** Ends that follow one another within so many milliseconds are told together. */
const GATHER_MS = 1_000;
const LATEST_MS = 4_000;
/** A tab that somebody looks at tells first; the others then find it told. */
const HIDDEN_MS = 700;
/** Good news passes; what went wrong stays until somebody had time to see it. */
const SEEN_MS = {
  success: 10_000,
  info: 10_000,
  warning: 30_000,
  error: 30_000
};

export interface TellerOptions {
  readonly jobs: IJobsModel;
  readonly commands: CommandRegistry;
  readonly sidebar: ISidebar;
  readonly memory: Memory;
  readonly trans: TranslationBundle;
}

export class Teller implements IDisposable {
  /** Whether JupyterLab tells. */
  inLab = true;
  /** Whether the desktop does, too, if the browser was allowed to. */
  onDesktop = false;

  constructor(private readonly options: TellerOptions) {
    this.seen = options.memory.all();
    options.jobs.changed.connect(this.onJobs);
    this.onJobs();
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this.options.jobs.changed.disconnect(this.onJobs);
    clearTimeout(this.timer);
  }

  private readonly onJobs = (): void => {
    const { jobs, memory } = this.options;
    // An older list may come to be known as the last one only later.
    if (!jobs.loaded) {
      return;
    }
    jobs.cancelling.forEach(id => this.cancelled.add(id));
    const living = alive(jobs.jobs);
    living.forEach(id => this.seen.add(id));
    memory.add(living);
    const ended = endedOf(this.seen, jobs.jobs);
    const before = this.gathered.length;
    for (const job of ended) {
      this.seen.delete(job.id);
      if (isNews(job, this.cancelled, Date.now())) {
        this.gathered.push(job);
      } else {
        memory.take([job.id]);
      }
    }
    if (this.gathered.length > before) {
      const now = Date.now();
      this.since = before === 0 ? now : this.since;
      const wait = Math.min(GATHER_MS, this.since + LATEST_MS - now);
      clearTimeout(this.timer);
      this.timer = setTimeout(
        this.flush,
        Math.max(0, wait) + (document.hidden ? HIDDEN_MS : 0)
      );
    }
  };

  private readonly flush = (): void => {
    const { memory, trans } = this.options;
    const jobs = this.gathered;
    this.gathered = [];
    const untold = new Set(memory.take(jobs.map(({ id }) => id)));
    if (this.inLab) {
      this.tell(notice(jobs, trans));
    }
    const news = jobs.filter(({ id }) => untold.has(id));
    if (this.onDesktop && document.hidden && news.length > 0) {
      this.tellDesktop(notice(news, trans), news);
    }
  };

  private tell({ tone, message, job }: Notice): void {
    const { trans, sidebar } = this.options;
    const actions: Notification.IAction[] =
      job === null
        ? [
            {
              label: trans.__('Show jobs'),
              callback: () => sidebar.open('jobs')
            }
          ]
        : this.actions(job);
    Notification.emit(message, tone, { autoClose: SEEN_MS[tone], actions });
  }

  private actions(job: JobView): Notification.IAction[] {
    const { commands, trans } = this.options;
    const { id, notebook, cell_id } = job;
    const show = {
      label: trans.__('Show log'),
      callback: () =>
        void commands.execute(CommandIDs.showJob, { job: id, log: true })
    };
    if (notebook === null || contentsPath(notebook) === null) {
      return [show];
    }
    const open = {
      label: trans.__('Open notebook'),
      callback: () =>
        void commands.execute(CommandIDs.openCell, { notebook, cell: cell_id })
    };
    return [show, open];
  }

  private tellDesktop(
    { message, job }: Notice,
    jobs: readonly JobView[]
  ): void {
    const { commands, sidebar } = this.options;
    if (!('Notification' in window) || permission() !== 'granted') {
      return;
    }
    const shown = new window.Notification('SnapML', {
      body: message,
      // Two tabs that tell of the same show it once.
      tag: `snapml ${jobs.map(({ id }) => id).join(' ')}`
    });
    shown.onclick = () => {
      window.focus();
      shown.close();
      if (job === null) {
        sidebar.open('jobs');
      } else {
        void commands.execute(CommandIDs.showJob, { job: job.id, log: true });
      }
    };
  }

  /** Seen alive, here or before the page was loaded, and not known to have ended. */
  private readonly seen: Set<string>;
  /** Asked to end in this page. */
  private readonly cancelled = new Set<string>();
  private gathered: JobView[] = [];
  /** When the first of the gathered ones was seen to have ended. */
  private since = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private _isDisposed = false;
}

/** What the browser allows; `denied` where it has no such notifications. */
export function permission(): NotificationPermission {
  return 'Notification' in window ? window.Notification.permission : 'denied';
}
