/* Made from labextension/schema.json by npm run build:types. */

/**
 * What models are compared by; named as scikit-learn names them.
 */
export type Metric = 'roc_auc' | 'accuracy' | 'balanced_accuracy' | 'f1_macro' | 'log_loss' | 'rmse' | 'mae' | 'r2';
/**
 * What is predicted.
 */
export type Task = 'binary' | 'multiclass' | 'regression';
/**
 * Where a job is. ``queued → starting → running → succeeded | failed | cancelled | lost``.
 */
export type State = 'queued' | 'starting' | 'running' | 'stopping' | 'succeeded' | 'failed' | 'cancelled' | 'lost';

export interface Commands {
  /**
   * List who changed what, newest first.
   */
  'audit/list': {
    params: AuditListParams;
    result: AuditList;
  };
  /**
   * Find a good model for a table within a time box, and keep it with its evidence.
   */
  automl: {
    params: AutomlParams;
    result: JobView;
  };
  /**
   * Keep a snapshot of a table by its content; the same content again is the same version.
   */
  'data/add': {
    params: DataAddParams;
    result: DatasetView;
  };
  /**
   * List datasets with their latest versions.
   */
  'data/list': {
    params: DataListParams;
    result: DatasetList;
  };
  /**
   * Remove a dataset from the catalog. Its content stays among the artifacts, and runs still name it; add it again to undo.
   */
  'data/remove': {
    params: DataRemoveParams;
    result: DatasetView;
  };
  /**
   * Stop a job with all its processes, and the jobs it submitted.
   */
  'jobs/cancel': {
    params: JobsCancelParams;
    result: JobView;
  };
  /**
   * List jobs, newest first.
   */
  'jobs/list': {
    params: JobsListParams;
    result: JobList;
  };
  /**
   * Show what a job printed, both streams as they came.
   */
  'jobs/logs': {
    params: JobsLogsParams;
    result: LogPage;
  };
  /**
   * Show one job.
   */
  'jobs/show': {
    params: JobsShowParams;
    result: JobView;
  };
  /**
   * Show the leaderboard of an AutoML job, while it runs or after.
   */
  leaderboard: {
    params: LeaderboardParams;
    result: Board;
  };
  /**
   * List model versions, newest first.
   */
  'models/list': {
    params: ModelsListParams;
    result: ModelList;
  };
  /**
   * Show a model version: what it reads, its evidence, the run that made it.
   */
  'models/show': {
    params: ModelsShowParams;
    result: ModelView;
  };
  /**
   * Run a pipeline: notebooks in order, each a job of its own, outputs of one into the next.
   */
  'pipeline/run': {
    params: PipelineRunParams;
    result: JobView;
  };
  /**
   * Show a pipeline's run: its steps, and the models they made.
   */
  'pipeline/show': {
    params: PipelineShowParams;
    result: PipelineView;
  };
  /**
   * Predict every row of a table with a model.
   */
  predict: {
    params: PredictParams;
    result: Predictions;
  };
  /**
   * Show what differs between two or more runs.
   */
  'runs/compare': {
    params: RunsCompareParams;
    result: RunComparison;
  };
  /**
   * List runs, newest first; trials of a search are listed with --kind trial.
   */
  'runs/list': {
    params: RunsListParams;
    result: RunList;
  };
  /**
   * Show a run: parameters, metrics, and where it came from.
   */
  'runs/show': {
    params: RunsShowParams;
    result: RunView;
  };
  /**
   * Say which workspace this is, who you are in it, and what it holds.
   */
  status: {
    params: StatusParams;
    result: Status;
  };
}
export interface AuditListParams {
  /**
   * how many at most
   */
  limit?: number;
}
/**
 * Rows of the audit, newest first.
 */
export interface AuditList {
  rows: AuditRow[];
}
/**
 * One row: who did what through which surface.
 *
 * ``outcome``: ``begun``, ``done``, ``fault`` or an error's code; ``of``: the row whose attempt this one ends.
 */
export interface AuditRow {
  actor: string;
  arguments: string;
  at: string;
  command: string;
  of: number | null;
  outcome: string;
  role: string;
  seq: number;
  surface: string;
}
export interface AutomlParams {
  /**
   * a table: a DataFrame's name, a CSV or Parquet file, or DATASET[@VERSION]
   */
  data: string;
  metric?: Metric | null;
  name?: string | null;
  /**
   * a column of the table
   */
  target: string;
  task?: Task | null;
  /**
   * seconds
   */
  time?: number;
}
/**
 * A job. Times are ISO 8601 in UTC; ``progress`` is in [0, 1].
 */
export interface JobView {
  actor: string;
  cell_id: string | null;
  containment: string | null;
  ended_at: string | null;
  error: ErrorView | null;
  exit_code: number | null;
  id: string;
  kind: string;
  message: string | null;
  name: string;
  notebook: string | null;
  parent: string | null;
  progress: number | null;
  reason: string | null;
  started_at: string | null;
  state: State;
  submitted_at: string;
  waiting_for: string | null;
}
/**
 * Why something failed: code, sentence, fix.
 */
export interface ErrorView {
  code: string;
  fix: string;
  message: string;
}
export interface DataAddParams {
  /**
   * a table: a DataFrame's name, a CSV or Parquet file, or DATASET[@VERSION]
   */
  data: string;
  name?: string | null;
}
/**
 * A version of a dataset; ``sha256`` is of its content.
 */
export interface DatasetView {
  columns: string[];
  format: string;
  name: string;
  rows: number;
  sha256: string;
  version: number;
}
export interface DataListParams {}
/**
 * Datasets, each with its latest version.
 */
export interface DatasetList {
  datasets: DatasetView[];
}
export interface DataRemoveParams {
  name: string;
}
export interface JobsCancelParams {
  grace?: number;
  /**
   * a job: its id, the end of it, its name, or last
   */
  job: string;
}
export interface JobsListParams {
  /**
   * how many at most
   */
  limit?: number;
  state?: State | null;
}
/**
 * Jobs, newest first. ``note`` says when nothing is alive to move the queue.
 */
export interface JobList {
  jobs: JobView[];
  note: string | null;
  revision: number;
  total: number;
}
export interface JobsLogsParams {
  /**
   * a job: its id, the end of it, its name, or last
   */
  job: string;
  limit?: number;
  offset?: number;
}
/**
 * A part of a job's merged log, from byte ``offset`` to ``next_offset``; ``ended``: nothing will follow it.
 */
export interface LogPage {
  content: string;
  ended: boolean;
  job: string;
  next_offset: number;
  offset: number;
}
export interface JobsShowParams {
  /**
   * a job: its id, the end of it, its name, or last
   */
  job: string;
}
export interface LeaderboardParams {
  /**
   * a job: its id, the end of it, its name, or last
   */
  job?: string;
}
/**
 * A search: its trials best first, and once it has ended the verdict on held-out rows and the model version.
 */
export interface Board {
  columns: number;
  dataset: string;
  elapsed: number;
  error: {
    [k: string]: string;
  } | null;
  held_out: HeldOut | null;
  higher_is_better: boolean;
  job: string;
  message: string | null;
  metric: string;
  model: string | null;
  rows: number;
  state: string;
  target: string;
  task: string;
  time: number;
  trials: TrialRow[];
}
/**
 * What rows set aside say about the winner beside the baseline; see ``automl.scoring.Evidence``.
 */
export interface HeldOut {
  baseline: number;
  could_be_chance: boolean;
  family: string;
  high: number;
  improvement: number;
  improvement_high: number;
  improvement_low: number;
  low: number;
  p_value: number;
  rows: number;
  score: number;
}
/**
 * One configuration.
 *
 * ``low``/``high``: 95% interval of its mean over folds; ``p_value``: of its difference to the
 * leader, Holm-corrected over the board (None for the leader).
 */
export interface TrialRow {
  at: number;
  family: string;
  high: number;
  low: number;
  name: string;
  p_value: number | null;
  params: {
    [k: string]: string;
  };
  score: number;
  seconds: number;
}
export interface ModelsListParams {
  /**
   * how many at most
   */
  limit?: number;
}
/**
 * Model versions, newest first.
 */
export interface ModelList {
  models: ModelView[];
}
/**
 * A model version: what it reads, what it was chosen by, and the run that made it. ``size`` is in bytes.
 */
export interface ModelView {
  blob: string;
  created_at: string;
  evidence: {
    [k: string]: unknown;
  };
  format: string;
  id: string;
  name: string;
  run: string | null;
  signature: {
    [k: string]: unknown;
  };
  size: number;
  task: string;
  version: number;
}
export interface ModelsShowParams {
  /**
   * a model: NAME or NAME@VERSION
   */
  model: string;
}
export interface PipelineRunParams {
  /**
   * a path, relative to the current folder
   */
  file: string;
  /**
   * a path, relative to the current folder
   */
  out?: string;
  /**
   * NAME=VALUE
   */
  param?: string[] | null;
}
export interface PipelineShowParams {
  /**
   * a job: its id, the end of it, its name, or last
   */
  job?: string;
}
/**
 * A pipeline's run: steps in order, and what was learnt.
 */
export interface PipelineView {
  error: string | null;
  job: string;
  learnt: Learnt[];
  name: string;
  outputs: {
    [k: string]: {
      [k: string]: unknown;
    };
  };
  seconds: number;
  state: string;
  steps: StepView[];
}
/**
 * A model a step made. Scores are in ``metric``'s unit, on rows held out; ``improvement`` is over the baseline.
 */
export interface Learnt {
  baseline: number;
  could_be_chance: boolean;
  family: string;
  high: number;
  improvement: number;
  improvement_high: number;
  improvement_low: number;
  low: number;
  metric: string;
  model: string;
  recorded: string;
  score: number;
  seconds: number;
  step: string;
}
/**
 * One step; ``seconds`` it has taken so far, ``notebook`` and ``html`` once they are written.
 */
export interface StepView {
  html_file: string | null;
  job: string | null;
  message: string | null;
  name: string;
  notebook: string | null;
  seconds: number | null;
  state: string;
}
export interface PredictParams {
  /**
   * a table: a DataFrame's name, a CSV or Parquet file, or DATASET[@VERSION]
   */
  data: string;
  /**
   * a model: NAME or NAME@VERSION
   */
  model: string;
  out?: string | null;
}
/**
 * Predictions, a row each. ``probabilities``: of the class given, for classes; ``path``: the file written.
 */
export interface Predictions {
  model: string;
  path: string | null;
  predictions: string[] | number[];
  probabilities: number[] | null;
  target: string;
}
export interface RunsCompareParams {
  /**
   * @minItems 1
   */
  run: [string, ...string[]];
}
/**
 * What differs between runs; what is the same is left out and counted.
 */
export interface RunComparison {
  differences: Difference[];
  runs: RunView[];
  same: number;
}
/**
 * One thing that is not the same in all runs compared; a value a run, None where it has none.
 */
export interface Difference {
  kind: string;
  name: string;
  values: (string | null)[];
}
/**
 * A run: its parameters, the latest value of each metric, and where it came from.
 */
export interface RunView {
  cell_id: string | null;
  cell_sha256: string | null;
  dataset: string | null;
  environment: string | null;
  execution_count: number | null;
  git_commit: string | null;
  id: string;
  job: string | null;
  kind: string;
  metrics: {
    [k: string]: number;
  };
  name: string;
  notebook: string | null;
  params: {
    [k: string]: string;
  };
  parent: string | null;
  started_at: string;
}
export interface RunsListParams {
  /**
   * automl, trial, notebook …
   */
  kind?: string | null;
  /**
   * how many at most
   */
  limit?: number;
}
/**
 * Runs, newest first.
 */
export interface RunList {
  runs: RunView[];
}
export interface RunsShowParams {
  /**
   * a run: its id, the end of it, its name, or last
   */
  run: string;
}
export interface StatusParams {}
/**
 * A workspace and what is in it; ``role`` is the caller's.
 */
export interface Status {
  actor: string;
  datasets: number;
  jobs: number;
  live_jobs: number;
  models: number;
  queued_jobs: number;
  role: string;
  runs: number;
  version: string;
  workspace: string;
}
