// What other plugins may depend on.

import { Token } from '@lumino/coreutils';
import type { IDisposable, IObservableDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';
import type {
  Commands,
  GpuHolder,
  JobView,
  LeasesView,
  State
} from './api/generated.js';

export interface CallOptions {
  /** Gives the call up early. */
  signal?: AbortSignal;
  /** Milliseconds until the server counts as unreachable. */
  timeout?: number;
}

/** The server's commands, typed by the schema the server generates. */
export interface IClient {
  /**
   * Run a command.
   *
   * @throws CommandError where the server refuses, UnreachableError where it does not answer.
   */
  call<C extends keyof Commands>(
    command: C,
    params: Commands[C]['params'],
    options?: CallOptions
  ): Promise<Commands[C]['result']>;
}

export const IClient = new Token<IClient>(
  'snapml-lab:IClient',
  'Runs SnapML commands on the Jupyter server.'
);

/** `lost` means that what is shown is the last known state. */
export type Connection = 'connecting' | 'connected' | 'lost';

/** The workspace's jobs as the server last told them. */
export interface IJobsModel extends IDisposable {
  /** By id. A new map after each change, so identity tells whether jobs changed. */
  readonly jobs: ReadonlyMap<string, JobView>;
  /** How many jobs the workspace holds, listed here or not. */
  readonly total: number;
  /** What the server says about the queue as a whole. */
  readonly note: string | null;
  /** Whether a list has ever arrived. */
  readonly loaded: boolean;
  readonly connection: Connection;
  /** Why the server refused the last list, if it did. */
  readonly refusal: unknown;
  /** Jobs somebody asked to cancel here and that have not ended yet. */
  readonly cancelling: ReadonlySet<string>;
  readonly changed: ISignal<IJobsModel, void>;
  /** The ledger's revision, as far as it was heard of; it moves with whatever happens, jobs or not. */
  readonly revision: number;
  readonly moved: ISignal<IJobsModel, void>;
  /** Ask for a job's end. Rejects, with nothing changed, where the server refuses. */
  cancel(job: string): Promise<void>;
}

export const IJobsModel = new Token<IJobsModel>(
  'snapml-lab:IJobsModel',
  'The jobs of the SnapML workspace, kept current.'
);

/** This machine's processors, memory and GPUs, and who holds them. */
export interface IMachineModel extends IDisposable {
  /** Null before the first answer. */
  readonly value: LeasesView | null;
  /** Why there is no fresh answer; null where there is one. */
  readonly problem: unknown;
  /** When `value` came, in milliseconds since the epoch. */
  readonly at: number;
  /** Keys (see `holderKey`) of the holders somebody asked to free here. */
  readonly freeing: ReadonlySet<string>;
  readonly changed: ISignal<IMachineModel, void>;
  /** Whether somebody looks at all of it, so that it has to be kept current. */
  awake: boolean;
  /** Look once, soon. */
  glance(): void;
  /** Where the notebook of a kernel of this server lies, for Jupyter; null for all else. */
  notebookOf(holder: GpuHolder): string | null;
  /** How a holder's memory can be had back; null where it cannot. */
  wayToFree(holder: GpuHolder): Way | null;
  /** Go that way. Rejects where the server refuses. */
  free(holder: GpuHolder, way: Way): Promise<void>;
}

/** How memory comes back: a job's end, a session's of this server, or a process's. */
export type Way =
  | { readonly by: 'job'; readonly job: string }
  | { readonly by: 'session'; readonly session: string }
  | { readonly by: 'process'; readonly process: number };

export const IMachineModel = new Token<IMachineModel>(
  'snapml-lab:IMachineModel',
  'What this machine has, and who holds it.'
);

/** A job's state, or that of something that has no job any more. */
export type ShownState = State | 'stopped';

/** A titled part of the SnapML sidebar. */
export interface ISidebarSection {
  readonly id: string;
  readonly title: string;
  /** Sections stand in ascending rank. */
  readonly rank: number;
  readonly widget: Widget & IObservableDisposable;
  /** Its part of the height beside the others that are open; 1 unless said. */
  readonly share?: number;
  /** Whether it is closed until somebody opens it. What a person did last is remembered. */
  readonly collapsed?: boolean;
}

/** The SnapML sidebar, made of sections that plugins add. */
export interface ISidebar {
  /** Add a section; disposing of what comes back takes it away again. */
  addSection(section: ISidebarSection): IDisposable;
  /** Bring the sidebar to the front, and open a section of it. */
  open(section?: string): void;
}

export const ISidebar = new Token<ISidebar>(
  'snapml-lab:ISidebar',
  'The SnapML sidebar, to which sections can be added.'
);

/** Commands other plugins and tests may execute. */
export const CommandIDs = {
  /** Arguments: `{ job: string }`. */
  cancelJob: 'snapml:cancel-job',
  /** Arguments: `{ name: string }`, a deployment's. */
  stopEndpoint: 'snapml:stop-endpoint',
  /** Arguments: `{ name: string }`, a deployment's: its page in the main area. */
  openEndpoint: 'snapml:open-endpoint',
  /** The gateway's API keys, on a page. */
  openKeys: 'snapml:open-keys',
  /** Arguments: `{ notebook: string, cell?: string }`, relative to the project folder. */
  openCell: 'snapml:open-cell',
  /** Arguments: `{ job: string, log?: boolean }`: its row in the sidebar, and what it printed. */
  showJob: 'snapml:show-job',
  /** Arguments: `{ run: string }`, its id: its page in the main area. */
  openRun: 'snapml:open-run',
  /** Arguments: `{ runs: string[] }`, ids of two runs or more. */
  compareRuns: 'snapml:compare-runs',
  /** Arguments: `{ model: string }`, as NAME@VERSION. */
  openModel: 'snapml:open-model',
  /** Arguments: `{ approval: string }`, its id. */
  openApproval: 'snapml:open-approval',
  /** No arguments: the bill, in the main area. */
  openCosts: 'snapml:open-costs',
  /** Arguments: `{ gpu: string, holder: string }`: a GPU's UUID and a holder's key. */
  freeMemory: 'snapml:free-memory',
  /** Whether the desktop tells when a job ends; the browser is asked where it has to be. */
  toggleDesktop: 'snapml:toggle-desktop-notices'
} as const;
