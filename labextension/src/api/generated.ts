/* Made from labextension/schema.json by npm run build:types. */

/**
 * Where a promotion is.
 */
export type Stage = 'waiting' | 'applied' | 'rejected' | 'withdrawn' | 'superseded';
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
/**
 * What happens to what is found.
 */
export type Action = 'block' | 'mask' | 'flag';
/**
 * Of what a rule is.
 */
export type Where = 'input' | 'output' | 'both';
/**
 * What a person is to a workspace; each may all that the ones before it may.
 */
export type Role = 'viewer' | 'developer' | 'approver' | 'admin';
/**
 * What running a command does.
 */
export type Effect = 'read' | 'write' | 'execute' | 'approve' | 'admin';

export interface Commands {
  /**
   * List requests, newest first: who asked for what, who decided, and what stood there before.
   */
  'approvals/list': {
    params: ApprovalsListParams;
    result: ApprovalList;
  };
  /**
   * Have an alias stand again for what it stood for before, at once; asked again, for what was before that.
   */
  'approvals/rollback': {
    params: ApprovalsRollbackParams;
    result: PromotionView;
  };
  /**
   * Show a request: its evidence, who decided, and whether you may.
   */
  'approvals/show': {
    params: ApprovalsShowParams;
    result: PromotionView;
  };
  /**
   * Take back a request that waits: your own, or as an admin any.
   */
  'approvals/withdraw': {
    params: ApprovalsWithdrawParams;
    result: PromotionView;
  };
  /**
   * Approve a request; with as many approvals as its policy asks for, the alias moves.
   */
  approve: {
    params: ApproveParams;
    result: PromotionView;
  };
  /**
   * Take the audit's end as it now is for the right one: after a restore, or where the head was lost; the old head is kept.
   */
  'audit/adopt': {
    params: AuditAdoptParams;
    result: AuditCheck;
  };
  /**
   * List who changed what, newest first.
   */
  'audit/list': {
    params: AuditListParams;
    result: AuditList;
  };
  /**
   * Check that no row of the audit was changed, removed, moved or cut off; an error says which were.
   */
  'audit/verify': {
    params: AuditVerifyParams;
    result: AuditCheck;
  };
  /**
   * Find a good model for a table within a time box, and keep it with its evidence.
   */
  automl: {
    params: AutomlParams;
    result: JobView;
  };
  /**
   * List budgets with what is spent, held for requests under way, and left.
   */
  'budgets/list': {
    params: BudgetsListParams;
    result: BudgetList;
  };
  /**
   * Remove a budget; what was spent under it stays known.
   */
  'budgets/remove': {
    params: BudgetsRemoveParams;
    result: BudgetList;
  };
  /**
   * Set what may be spent in a period (UTC): a request that could go over it is not sent.
   */
  'budgets/set': {
    params: BudgetsSetParams;
    result: BudgetList;
  };
  /**
   * Write what was kept of a deployment, oldest first: chat records, in the form that fine-tuning and evaluation take.
   */
  'capture/export': {
    params: CaptureExportParams;
    result: ExportView;
  };
  /**
   * List what is kept of which deployments.
   */
  'capture/list': {
    params: CaptureListParams;
    result: CaptureList;
  };
  /**
   * Keep nothing more of a deployment; what there is stays for its days.
   */
  'capture/off': {
    params: CaptureOffParams;
    result: CaptureView;
  };
  /**
   * Keep a sample of a deployment's requests and answers from now on, with secrets and personal data masked.
   */
  'capture/on': {
    params: CaptureOnParams;
    result: CaptureView;
  };
  /**
   * Show the newest requests and answers that were kept of a deployment.
   */
  'capture/show': {
    params: CaptureShowParams;
    result: CapturedList;
  };
  /**
   * Show what requests used and cost, as a chart and a table; by day with jobs, budgets and a forecast of the month.
   */
  cost: {
    params: CostParams;
    result: Costs;
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
   * Serve a model, classic or LLM, behind the gateway; ready once a real request has come back.
   */
  deploy: {
    params: DeployParams;
    result: Deployed;
  };
  /**
   * Write a folder that a container is built from: the same gateway and engine, the model's files, pinned packages.
   */
  'deploy/export': {
    params: DeployExportParams;
    result: Exported;
  };
  /**
   * List deployments and how each is.
   */
  'endpoints/list': {
    params: EndpointsListParams;
    result: EndpointList;
  };
  /**
   * Set what the gateway does with requests to a deployment; without options it shows that. It holds from the next request on.
   */
  'endpoints/set': {
    params: EndpointsSetParams;
    result: Rules;
  };
  /**
   * Show all of one endpoint: its models and services, how it does of late, what it costs, and how to ask it.
   */
  'endpoints/show': {
    params: EndpointsShowParams;
    result: EndpointView;
  };
  /**
   * Make an engine's environment, or mend it; it is shared between projects and used where the engine is not installed.
   */
  'env/create': {
    params: EnvCreateParams;
    result: JobView;
  };
  /**
   * List the environments of engines: those there are, and those that can be made.
   */
  'env/list': {
    params: EnvListParams;
    result: EnvList;
  };
  /**
   * Remove an environment; what it took is free again.
   */
  'env/remove': {
    params: EnvRemoveParams;
    result: EnvList;
  };
  /**
   * Show an environment: whether it is whole, what is in it, the disk it takes, and what runs in it.
   */
  'env/show': {
    params: EnvShowParams;
    result: EnvDetail;
  };
  /**
   * Score a deployed model on held-out chat records by exact match, through the gateway, with intervals.
   */
  eval: {
    params: EvalParams;
    result: JobView;
  };
  /**
   * Show an evaluation: the score, its interval, and what did not match.
   */
  evaluation: {
    params: EvaluationParams;
    result: Evaluation;
  };
  /**
   * Fine-tune a chat model with LoRA, the loss on answers only; the adapter becomes a model version.
   */
  finetune: {
    params: FinetuneParams;
    result: JobView;
  };
  /**
   * List the guardrails policies, their rules, and which deployments have them.
   */
  'guardrails/list': {
    params: GuardrailsListParams;
    result: GuardrailsList;
  };
  /**
   * Measure precision and recall of detectors on labelled texts, with intervals; a judge's figures are kept with its rule.
   */
  'guardrails/measure': {
    params: GuardrailsMeasureParams;
    result: Measurement;
  };
  /**
   * Remove a guardrails policy. A deployment that names it answers nothing until it names another.
   */
  'guardrails/remove': {
    params: GuardrailsRemoveParams;
    result: GuardrailsView;
  };
  /**
   * Declare a guardrails policy, from a file of rules or from what is named here; with nothing named, the usual rules.
   */
  'guardrails/set': {
    params: GuardrailsSetParams;
    result: GuardrailsView;
  };
  /**
   * Show a guardrails policy: each rule, what it finds, and what is held back of a stream.
   */
  'guardrails/show': {
    params: GuardrailsShowParams;
    result: GuardrailsView;
  };
  /**
   * Show what a policy would do to a text; a rule with a judge asks it.
   */
  'guardrails/test': {
    params: GuardrailsTestParams;
    result: TrialView;
  };
  /**
   * Stop a job with all its processes, and the jobs it submitted.
   */
  'jobs/cancel': {
    params: JobsCancelParams;
    result: JobView;
  };
  /**
   * Show what jobs cost: the hours of processors and GPUs they held, at the machine's price.
   */
  'jobs/cost': {
    params: JobsCostParams;
    result: JobCosts;
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
   * Let a queued job go before, or after, others.
   */
  'jobs/priority': {
    params: JobsPriorityParams;
    result: JobView;
  };
  /**
   * Run a command at times given as in cron, by anything of ours that is alive; a schedule of that name is replaced.
   */
  'jobs/schedule': {
    params: JobsScheduleParams;
    result: Schedule;
  };
  /**
   * List the schedules, when each is due, and what became of its last run.
   */
  'jobs/schedules': {
    params: JobsSchedulesParams;
    result: ScheduleList;
  };
  /**
   * Show one job.
   */
  'jobs/show': {
    params: JobsShowParams;
    result: JobView;
  };
  /**
   * Remove a schedule; jobs it submitted go on.
   */
  'jobs/unschedule': {
    params: JobsUnscheduleParams;
    result: Schedule;
  };
  /**
   * Make an API key for the gateway; its text is shown this once.
   */
  'keys/create': {
    params: KeysCreateParams;
    result: KeyView;
  };
  /**
   * List API keys, without their secrets, with what they spent of their limits.
   */
  'keys/list': {
    params: KeysListParams;
    result: KeyList;
  };
  /**
   * End an API key for good.
   */
  'keys/revoke': {
    params: KeysRevokeParams;
    result: KeyView;
  };
  /**
   * Make a new key on the terms of an old one, which goes on for a while; the new text is shown this once.
   */
  'keys/rotate': {
    params: KeysRotateParams;
    result: KeyView;
  };
  /**
   * Show the leaderboard of an AutoML job, while it runs or after.
   */
  leaderboard: {
    params: LeaderboardParams;
    result: Board;
  };
  /**
   * Free the GPU memory that a process holds: a job is cancelled, a notebook's kernel ends (Jupyter starts it anew).
   */
  'leases/free': {
    params: LeasesFreeParams;
    result: LeasesView;
  };
  /**
   * Show processors, memory and GPUs: what jobs have leased, what is used, and by whom.
   */
  'leases/show': {
    params: LeasesShowParams;
    result: LeasesView;
  };
  /**
   * Merge another workspace into this one by id: runs, models, jobs, datasets, and what was decided there.
   */
  merge: {
    params: MergeParams;
    result: MergeView;
  };
  /**
   * Keep a model you have as a version: a fitted scikit-learn model, a skops or ONNX file, a folder of transformers or PEFT.
   */
  'models/add': {
    params: ModelsAddParams;
    result: ModelView;
  };
  /**
   * Make the card of a model version from the record: data, evidence with intervals, run, approvals, known limits.
   */
  'models/card': {
    params: ModelsCardParams;
    result: Card;
  };
  /**
   * Give a model of rows to MLflow and register it there, with its run; it predicts the same there.
   */
  'models/export': {
    params: ModelsExportParams;
    result: ExportedModel;
  };
  /**
   * Bring a registered model of MLflow here, with the run that made it; once each.
   */
  'models/import': {
    params: ModelsImportParams;
    result: ModelView;
  };
  /**
   * Show where a model version comes from and where it went: data, code, environment, runs, deployments, evals.
   */
  'models/lineage': {
    params: ModelsLineageParams;
    result: LineageView;
  };
  /**
   * List model versions, newest first, with their aliases and stages.
   */
  'models/list': {
    params: ModelsListParams;
    result: ModelList;
  };
  /**
   * Merge an adapter into its base, as a whole model version.
   */
  'models/merge': {
    params: ModelsMergeParams;
    result: JobView;
  };
  /**
   * Write a note on a model version; it is on its card. Without a text the note is taken away.
   */
  'models/note': {
    params: ModelsNoteParams;
    result: ModelView;
  };
  /**
   * Write the card of a model version to a file, as a page, as Markdown, or as text.
   */
  'models/print': {
    params: ModelsPrintParams;
    result: Card;
  };
  /**
   * Show a model version: what it reads, its evidence, its aliases, the run that made it.
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
   * Show a pipeline's run: its steps, and what they found.
   */
  'pipeline/show': {
    params: PipelineShowParams;
    result: PipelineView;
  };
  /**
   * List what the gate asks for, and the checks a policy can name.
   */
  'policies/list': {
    params: PoliciesListParams;
    result: PolicyList;
  };
  /**
   * Remove a declared policy: the less particular one holds then.
   */
  'policies/remove': {
    params: PoliciesRemoveParams;
    result: PolicyView;
  };
  /**
   * Declare what is asked before a version of a kind, or of one thing, may stand under an alias.
   */
  'policies/set': {
    params: PoliciesSetParams;
    result: PolicyView;
  };
  /**
   * Predict every row of a table with a model.
   */
  predict: {
    params: PredictParams;
    result: Predictions;
  };
  /**
   * Declare what this machine costs: local models and jobs are billed by the time they work.
   */
  'prices/compute': {
    params: PricesComputeParams;
    result: Price;
  };
  /**
   * List declared prices, each with its source and date; what is not declared is looked up in genai-prices' list.
   */
  'prices/list': {
    params: PricesListParams;
    result: PriceList;
  };
  /**
   * Take a declared price back: from then on the next one counts.
   */
  'prices/remove': {
    params: PricesRemoveParams;
    result: Price;
  };
  /**
   * Declare what a deployment's or a provider's model's tokens cost; it goes before every other price.
   */
  'prices/set': {
    params: PricesSetParams;
    result: Price;
  };
  /**
   * Show what a provider's model costs here, in dollars a million tokens: as declared, or as genai-prices lists it.
   */
  'prices/show': {
    params: PricesShowParams;
    result: PriceShown;
  };
  /**
   * Ask for a version to stand under an alias such as champion; applied at once where nobody has to approve.
   */
  promote: {
    params: PromoteParams;
    result: PromotionView;
  };
  /**
   * List who serves models elsewhere.
   */
  'providers/list': {
    params: ProvidersListParams;
    result: ProviderList;
  };
  /**
   * Remove a provider that no deployment uses.
   */
  'providers/remove': {
    params: ProvidersRemoveParams;
    result: ProviderView;
  };
  /**
   * Declare who serves models elsewhere by OpenAI's protocol; deploy one with --provider NAME.
   */
  'providers/set': {
    params: ProvidersSetParams;
    result: ProviderView;
  };
  /**
   * Say how many jobs of a queue may run at once.
   */
  'queue/limit': {
    params: QueueLimitParams;
    result: QueueView;
  };
  /**
   * List the queues.
   */
  'queue/list': {
    params: QueueListParams;
    result: QueueList;
  };
  /**
   * Start nothing more from a queue until it is resumed; what runs goes on.
   */
  'queue/pause': {
    params: QueuePauseParams;
    result: QueueView;
  };
  /**
   * Let a queue that was paused go on.
   */
  'queue/resume': {
    params: QueueResumeParams;
    result: QueueView;
  };
  /**
   * Reject a request: one word ends it; it can be asked for anew.
   */
  reject: {
    params: RejectParams;
    result: PromotionView;
  };
  /**
   * List requests to the gateway, newest first.
   */
  'requests/list': {
    params: RequestsListParams;
    result: RequestList;
  };
  /**
   * List who has which role.
   */
  'roles/list': {
    params: RolesListParams;
    result: RoleList;
  };
  /**
   * Take a person's role away: they are a viewer then.
   */
  'roles/remove': {
    params: RolesRemoveParams;
    result: RoleView;
  };
  /**
   * Give a person a role; with the first one, everybody without one becomes a viewer.
   */
  'roles/set': {
    params: RolesSetParams;
    result: RoleView;
  };
  /**
   * Show who you are here, or who another person is: the role, where it is known from, and what it allows.
   */
  'roles/show': {
    params: RolesShowParams;
    result: RoleView;
  };
  /**
   * Take the model on trial away; where none is, have what stood before the last promotion stand again.
   */
  'rollout/back': {
    params: RolloutBackParams;
    result: Rollout;
  };
  /**
   * Have the canary stand for all requests; what stood stops once its requests are answered.
   */
  'rollout/promote': {
    params: RolloutPromoteParams;
    result: Rollout;
  };
  /**
   * Give the canary another share of the requests; a shadow becomes the canary by it.
   */
  'rollout/share': {
    params: RolloutShareParams;
    result: Rollout;
  };
  /**
   * Show the models behind a name beside each other, and whether what differs could be chance.
   */
  'rollout/show': {
    params: RolloutShowParams;
    result: Rollout;
  };
  /**
   * Send a cell (%%snapml run), a command (after --), a script or a notebook to the background; return the job at once.
   */
  run: {
    params: RunParams;
    result: JobView;
  };
  /**
   * Show what differs between two or more runs: parameters, figures, curves, code and data.
   */
  'runs/compare': {
    params: RunsCompareParams;
    result: RunComparison;
  };
  /**
   * Draw a metric of one or more runs over their steps; a million points are thinned in the ledger.
   */
  'runs/curve': {
    params: RunsCurveParams;
    result: CurveList;
  };
  /**
   * Put runs away, with those nested in them: no list has them any more. Undo it: snapml runs restore.
   */
  'runs/delete': {
    params: RunsDeleteParams;
    result: RunList;
  };
  /**
   * Give a run to MLflow, with those nested in it; one that is there is left as it is.
   */
  'runs/export': {
    params: RunsExportParams;
    result: ExportedRuns;
  };
  /**
   * Copy a file or folder kept with a run to where one can work with it.
   */
  'runs/fetch': {
    params: RunsFetchParams;
    result: Fetched;
  };
  /**
   * Bring MLflow's runs here, whole: parameters, every point of each metric, tags, files, nested runs, data and models.
   */
  'runs/import': {
    params: RunsImportParams;
    result: ImportedRuns;
  };
  /**
   * List runs, newest first; trials of a search are listed with --kind trial.
   */
  'runs/list': {
    params: RunsListParams;
    result: RunList;
  };
  /**
   * Make a run again, with its code, environment and inputs as they were, and say what differs.
   */
  'runs/reproduce': {
    params: RunsReproduceParams;
    result: JobView;
  };
  /**
   * Show a reproduction: what was done, and what differs; while it runs or after.
   */
  'runs/reproduction': {
    params: RunsReproductionParams;
    result: ReproductionView;
  };
  /**
   * Bring back runs that were deleted, with those nested in them.
   */
  'runs/restore': {
    params: RunsRestoreParams;
    result: RunList;
  };
  /**
   * Find runs by a condition on metrics, parameters, tags and what they came from; nested ones, too.
   */
  'runs/search': {
    params: RunsSearchParams;
    result: RunList;
  };
  /**
   * Show a run: figures, curves, parameters, nested runs, models, and where it came from.
   */
  'runs/show': {
    params: RunsShowParams;
    result: RunPage;
  };
  /**
   * Set tags of a run (an empty value removes one), or a note about it.
   */
  'runs/tag': {
    params: RunsTagParams;
    result: RunView;
  };
  /**
   * Make a small base model on this machine, from text that is on it, for where there is no hub.
   */
  'sample/llm': {
    params: SampleLlmParams;
    result: JobView;
  };
  /**
   * Say which workspace this is, who you are in it, and what it holds.
   */
  status: {
    params: StatusParams;
    result: Status;
  };
  /**
   * Send nothing, whatever the gateway's variables say; telemetry set turns it on again.
   */
  'telemetry/off': {
    params: TelemetryOffParams;
    result: TelemetryView;
  };
  /**
   * Send a span for each request, and figures, to an OpenTelemetry collector (OTLP over HTTP): tokens, cost, time, who asked.
   */
  'telemetry/set': {
    params: TelemetrySetParams;
    result: TelemetryView;
  };
  /**
   * Show where the gateway sends a span for each request; what became of them is in its /metrics (snapml_telemetry_spans).
   */
  'telemetry/show': {
    params: TelemetryShowParams;
    result: TelemetryView;
  };
  /**
   * Show a training: its loss, its speed and what it learns; while it runs or after.
   */
  training: {
    params: TrainingParams;
    result: Training;
  };
  /**
   * Measure what a deployment's engine could be set to, on your own prompts, and mark the best.
   */
  'tune-endpoint': {
    params: TuneEndpointParams;
    result: JobView;
  };
  /**
   * Show what a sweep would measure, on how many requests, and what memory it takes beside the deployment.
   */
  'tune-endpoint/plan': {
    params: TuneEndpointPlanParams;
    result: TuningPlan;
  };
  /**
   * Stop a deployment and see its processes gone; with --gateway the gateway, too.
   */
  undeploy: {
    params: UndeployParams;
    result: EndpointList;
  };
}
export interface ApprovalsListParams {
  /**
   * how many at most
   */
  limit?: number;
  of?: string | null;
  state?: Stage | null;
}
/**
 * Requests, newest first.
 */
export interface ApprovalList {
  promotions: PromotionView[];
}
/**
 * A request to have a version stand under an alias, and what became of it.
 *
 * ``version`` is wanted, ``target`` is the alias it is to have, ``before`` the version that stood there; ``author`` made it, ``actor`` asks; ``needs`` people must
 * approve; ``can_decide`` says whether you may, and ``why_not`` why you may not; ``restores`` is the request a rollback went back to.
 */
export interface PromotionView {
  actor: string;
  at: string;
  author: string;
  before: string | null;
  can_decide: boolean;
  cell_id: string | null;
  comment: string;
  content: string;
  decided_at: string | null;
  decisions: DecisionView[];
  evidence: FindingView[];
  id: string;
  kind: string;
  name: string;
  needs: number;
  notebook: string | null;
  restores: string | null;
  state: Stage;
  target: string;
  version: string;
  why_not: string | null;
}
/**
 * What one person decided (``approved`` or ``rejected``), and the role they had.
 */
export interface DecisionView {
  actor: string;
  at: string;
  comment: string;
  decision: string;
  role: string;
}
/**
 * What a check found: ``ok`` where it is enough.
 */
export interface FindingView {
  check: string;
  found: string;
  ok: boolean;
}
export interface ApprovalsRollbackParams {
  /**
   * why, for who reads it later
   */
  comment?: string;
  /**
   * an alias such as champion
   */
  to?: string;
  /**
   * KIND:NAME; NAME is a model
   */
  what: string;
}
export interface ApprovalsShowParams {
  /**
   * a request: its id, or the end of it
   */
  request: string;
}
export interface ApprovalsWithdrawParams {
  /**
   * a request: its id, or the end of it
   */
  request: string;
}
export interface ApproveParams {
  /**
   * why, for who reads it later
   */
  comment?: string;
  /**
   * a request: its id, or the end of it
   */
  request: string;
}
export interface AuditAdoptParams {}
/**
 * The audit holds: ``rows`` were read, with those of ``merged`` workspaces.
 *
 * ``head``: what is known outside the workspace, in words; ``guarded_from``: the first row whose loss it would tell, None where
 * there is no head; ``behind``: rows the head had missed; ``unwritable``: why it cannot be written now.
 */
export interface AuditCheck {
  behind: number | null;
  guarded_from: number | null;
  head: string;
  merged: string[];
  rows: number;
  unwritable: string | null;
}
export interface AuditListParams {
  actor?: string | null;
  command?: string | null;
  /**
   * how many at most
   */
  limit?: number;
  outcome?: string | null;
  since?: (number | string) | null;
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
 * ``outcome``: ``begun``, ``done``, ``fault`` or an error's code; ``of``: the row whose attempt this one ends; ``sha256``: its link
 * in the chain.
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
  sha256: string;
  surface: string;
}
export interface AuditVerifyParams {}
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
 *
 * A ``service`` runs until it is stopped, and was started again ``restarts`` times; ``attempt`` counts the starts of
 * work that may be retried. Memory is in MiB: ``memory`` asked for, ``peak_memory`` used by the whole tree, and likewise ``gpu_memory`` and ``gpu_peak`` of a GPU. ``after``
 * are the ids of the jobs it is to run after, ``gave_way_to`` of the one it stopped for.
 *
 * In Python it is a handle: :meth:`result`, :meth:`wait`, :meth:`cancel`, :meth:`logs`, :meth:`refresh`.
 */
export interface JobView {
  actor: string;
  after: string[];
  attempt: number;
  cell_id: string | null;
  containment: string | null;
  cpus: number;
  ended_at: string | null;
  error: ErrorView | null;
  exit_code: number | null;
  gave_way_to: string | null;
  gives_way: boolean;
  gpu_memory: number | null;
  gpu_peak: number | null;
  gpus: number;
  id: string;
  kind: string;
  memory: number | null;
  message: string | null;
  name: string;
  notebook: string | null;
  parent: string | null;
  peak_memory: number | null;
  priority: number;
  progress: number | null;
  queue: string;
  reason: string | null;
  restarts: number;
  retries: number;
  service: boolean;
  started_at: string | null;
  state: State;
  submitted_at: string;
  time_limit: number | null;
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
export interface BudgetsListParams {
  deployment?: string | null;
}
/**
 * All budgets with what their current period has seen.
 */
export interface BudgetList {
  budgets: BudgetLine[];
}
/**
 * A budget and what its current period has seen, in pico-dollars as text; ``ends_at``: when the next period begins.
 *
 * ``scope`` is what it is for in words, ``kind`` (key, notebook, project, model) and ``subject`` the same in parts; empty: all.
 */
export interface BudgetLine {
  daily_pico: string | null;
  ends_at: string | null;
  kind: string;
  limit_pico: string;
  name: string;
  period: string;
  reserved_pico: string;
  scope: string;
  spent_pico: string;
  subject: string;
}
export interface BudgetsRemoveParams {
  /**
   * a budget's name
   */
  name: string;
}
export interface BudgetsSetParams {
  /**
   * dollars
   */
  dollars: number | string;
  key?: string | null;
  model?: string | null;
  /**
   * a budget's name
   */
  name: string;
  notebook?: string | null;
  period?: 'day' | 'week' | 'month' | 'total';
  project?: string | null;
}
export interface CaptureExportParams {
  /**
   * a deployment's name
   */
  deployment: string;
  /**
   * a file
   */
  out: string;
}
/**
 * A file of chat records, or of rows of a classic model.
 *
 * ``left_out``: requests that are no conversation of text alone, as fine-tuning takes it, or hold no rows that can be read.
 */
export interface ExportView {
  deployment: string;
  left_out: number;
  path: string;
  records: number;
}
export interface CaptureListParams {}
/**
 * What is kept of which deployments.
 */
export interface CaptureList {
  captures: CaptureView[];
}
/**
 * What is kept of a deployment, and how much is there.
 */
export interface CaptureView {
  days: number;
  deployment: string;
  kept: number;
  on: boolean;
  redact: string[];
  share: number;
}
export interface CaptureOffParams {
  /**
   * a deployment's name
   */
  deployment: string;
}
export interface CaptureOnParams {
  days?: number;
  deployment: string;
  redact?: string[] | null;
  share?: number;
}
export interface CaptureShowParams {
  /**
   * a deployment's name
   */
  deployment: string;
  /**
   * how many at most
   */
  limit?: number;
}
/**
 * What was kept of a deployment, newest first.
 */
export interface CapturedList {
  captured: CapturedView[];
  deployment: string;
}
/**
 * One request and its answer as they were kept.
 */
export interface CapturedView {
  answered: string;
  asked: string;
  at: string;
  id: string;
  masked: number;
}
export interface CostParams {
  by?: 'model' | 'deployment' | 'key' | 'notebook' | 'cell' | 'project' | 'day';
  csv?: string | null;
  days?: number;
}
/**
 * Requests added up, dearest first; by day the latest first, with jobs, budgets, and a forecast (None: too few days).
 */
export interface Costs {
  budgets?: BudgetLine[];
  by: string;
  days: number;
  forecast?: ForecastView | null;
  path?: string | null;
  rows: CostRow[];
  spent?: DaySpent[];
}
/**
 * What the month will have cost at its end, in pico-dollars as text; see ``costs.forecast.Forecast``.
 */
export interface ForecastView {
  by_weekday: boolean;
  cost_pico: string;
  daily_pico: string;
  days: number;
  high_pico: string;
  low_pico: string;
  until: string;
}
/**
 * What one group adds up to; see ``costs.requests.Total``. ``cost_pico`` is pico-dollars as text.
 */
export interface CostRow {
  cache_write_tokens: number;
  cached_share: number | null;
  cached_tokens: number;
  cell_id: string | null;
  cost_pico: string;
  failed: number;
  first_token_ms: number | null;
  group: string;
  hits: number;
  input_tokens: number;
  machine_seconds: number;
  notebook: string | null;
  output_tokens: number;
  reasoning_tokens: number;
  requests: number;
  tokens_per_second: number | null;
  unknown: number;
}
/**
 * What one day (UTC) is known to have cost, in pico-dollars as text.
 */
export interface DaySpent {
  day: string;
  jobs_pico: string;
  requests_pico: string;
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
export interface DeployParams {
  adapters?: boolean;
  canary?: number | null;
  engine?: ('transformers' | 'vllm' | 'predict' | 'openai') | null;
  give_way?: boolean;
  gpu_memory?: (number | string) | null;
  gpus?: number | null;
  idle?: (number | string) | null;
  /**
   * a model: NAME, NAME@VERSION or NAME@ALIAS
   */
  model: string;
  name?: string | null;
  on?: string | null;
  /**
   * NAME=VALUE of the engine
   */
  option?: string[] | null;
  plan?: boolean;
  port?: number | null;
  provider?: string | null;
  quantization?: string | null;
  replicas?: number;
  shadow?: boolean;
  wait?: boolean;
}
/**
 * A deployment with its plan and what to paste to ask it, by kind; ``state`` is ``planned`` where it was only planned.
 */
export interface Deployed {
  engine: string;
  job: string | null;
  message: string | null;
  model: string;
  name: string;
  plan: PlanView;
  restarts: number;
  snippets: {
    [k: string]: string;
  };
  state: string;
  task: string;
  url: string | null;
}
/**
 * What will be done; memory in MiB, of one replica. ``fits`` None: not known; ``free`` None: it runs elsewhere.
 */
export interface PlanView {
  because: string;
  engine: string;
  fits: boolean | null;
  free: number | null;
  memory: number | null;
  model: string;
  name: string;
  notes: string[];
  place: 'GPU' | 'CPU' | 'remote' | 'shared';
  quantization: string | null;
  quantizations: string[];
  replicas: number;
}
export interface DeployExportParams {
  /**
   * a path, relative to the current folder
   */
  folder: string;
  /**
   * a deployment's name
   */
  name: string;
}
/**
 * A folder that a container is built from, and what is in it.
 */
export interface Exported {
  files: string[];
  folder: string;
  name: string;
}
export interface EndpointsListParams {}
/**
 * All deployments, and the gateway's state.
 */
export interface EndpointList {
  endpoints: Endpoint[];
  gateway: string;
  url: string | null;
}
/**
 * A deployment and how it is: ``state`` is its service's; ``stopped`` where it has none, ``asleep`` where it has none until it is asked.
 */
export interface Endpoint {
  engine: string;
  job: string | null;
  message: string | null;
  model: string;
  name: string;
  restarts: number;
  state: string;
  task: string;
  url: string | null;
}
export interface EndpointsSetParams {
  cache?: (number | string) | null;
  clear?: (string | string[]) | null;
  fallback?: (string | string[]) | null;
  guardrails?: string | null;
  idle?: (number | string) | null;
  /**
   * a deployment's name
   */
  name: string;
  timeout?: (number | string) | null;
}
/**
 * What the gateway does with requests to a deployment; times in seconds, None and empty: not done.
 */
export interface Rules {
  cache: number | null;
  fallbacks: string[];
  guardrails: string | null;
  idle: number | null;
  name: string;
  timeout: number;
}
export interface EndpointsShowParams {
  minutes?: number;
  /**
   * a deployment's name
   */
  name: string;
}
/**
 * One deployment: what is behind it, how it does, what it costs, and how to ask it.
 *
 * ``state`` is the best of its services', ``stopped`` where it has none; ``url`` is where the gateway answers.
 * ``since`` and ``until`` bound the window that ``doing`` and ``series`` are of, in stretches of ``step`` seconds;
 * ``whole`` is false where the window had to begin later, for there were more requests than are looked at. ``open``
 * requests are under way. ``spent_pico`` is what all its requests have cost, as far as it is known. ``before`` is the
 * model that stood before the last promotion: what one goes back to.
 */
export interface EndpointView {
  before: string | null;
  broken: Broken[];
  cache_seconds: number | null;
  doing: Doing;
  fallbacks: string[];
  gateway: string;
  guardrails: string | null;
  idle_seconds: number | null;
  message: string | null;
  name: string;
  open: number;
  series: Stretch[];
  since: string;
  snippets: Snippet[];
  spent_pico: string;
  spent_requests: number;
  spent_unknown: number;
  state: string;
  step: number;
  targets: Served[];
  task: string;
  timeout_seconds: number;
  until: string;
  url: string | null;
  whole: boolean;
}
/**
 * A request that went wrong, and how; ``guard`` is what the guardrails did, a JSON list.
 */
export interface Broken {
  at: string;
  attempts: number;
  duration_ms: number;
  guard: string | null;
  id: string;
  key: string;
  kind: string;
  route: string;
  status: number;
  target: string;
  words: string;
}
/**
 * What the requests of a window come to; see ``costs.live.Figures``. Rates are a second, times milliseconds.
 *
 * ``engine_cache`` is the share of the tokens read that the engine's cache had; ``answered_before`` counts answers from
 * the gateway's cache. ``cost_pico`` is pico-dollars as text, as far as it is known; ``unknown`` requests have no known
 * cost.
 */
export interface Doing {
  answered_before: number;
  cost_pico: string;
  duration_ms: Spread | null;
  engine_cache: number | null;
  failures: Broke[];
  first_token_ms: Spread | null;
  per_second: number;
  read_tokens: number;
  requests: number;
  tokens_per_second: number | null;
  unknown: number;
  written_per_second: number;
  written_tokens: number;
}
/**
 * The median and the 95th percentile.
 */
export interface Spread {
  p50: number;
  p95: number;
}
/**
 * How many requests went wrong in one way; see ``costs.live.KINDS``.
 */
export interface Broke {
  kind: string;
  requests: number;
  words: string;
}
/**
 * What came in one stretch of the window, from ``at`` on; see :class:`Doing`. ``partial``: not all of it is in the window.
 */
export interface Stretch {
  at: string;
  cost_pico: string;
  duration_ms: number | null;
  engine_cache: number | null;
  failed: number;
  first_token_ms: number | null;
  partial: boolean;
  requests: number;
  tokens_per_second: number | null;
  unknown: number;
  written_tokens: number;
}
/**
 * Lines to ask the endpoint with; the key is read from the environment variable ``SNAPML_API_KEY``.
 */
export interface Snippet {
  code: string;
  language: string;
  name: string;
}
/**
 * One model behind the name: ``share`` is the percentage of requests it is meant to get, ``doing`` what it got.
 */
export interface Served {
  doing: Doing;
  engine: string;
  id: string;
  model: string;
  on: string | null;
  replicas: number;
  services: Replica[];
  shadow: boolean;
  share: number;
}
/**
 * One service behind a target. Memory is in MiB (None: not known), of all its processes; ``last_words`` of its log.
 */
export interface Replica {
  gpu_memory: number | null;
  job: string | null;
  last_words: string[];
  memory: number | null;
  message: string | null;
  name: string;
  peak_memory: number | null;
  restarts: number;
  state: string;
}
export interface EnvCreateParams {
  /**
   * an environment's name
   */
  name: string;
  requirements?: string | null;
}
export interface EnvListParams {}
/**
 * The environments there are, and the recipes of those that are not made; ``size`` is of them all.
 */
export interface EnvList {
  environments: EnvView[];
  folder: string;
  size: number;
}
/**
 * An environment: ``size`` in bytes on the disk; ``reason`` says why it is not ready.
 */
export interface EnvView {
  about: string;
  name: string;
  packages: number;
  path: string;
  python: string;
  reason: string;
  size: number | null;
  state: State;
}
export interface EnvRemoveParams {
  force?: boolean;
  /**
   * an environment's name
   */
  name: string;
}
export interface EnvShowParams {
  /**
   * an environment's name
   */
  name: string;
}
/**
 * An environment with its packages, and what runs in it.
 */
export interface EnvDetail {
  environment: EnvView;
  packages: string[];
  users: User[];
}
/**
 * A process that runs in an environment; with the endpoint and the project it is of, where that is known.
 */
export interface User {
  name: string | null;
  pid: number;
  project: string | null;
}
export interface EvalParams {
  against?: string | null;
  concurrency?: number;
  /**
   * a path, relative to the current folder
   */
  data: string;
  limit?: number;
  max_tokens?: number;
  /**
   * a deployment's name
   */
  model: string;
}
export interface EvaluationParams {
  /**
   * a job: its id, the end of it, its name, or last
   */
  job?: string;
}
/**
 * An evaluation, and its comparison with an earlier one on the same records (``p_value``: McNemar's, exact).
 */
export interface Evaluation {
  against: Score | null;
  data: string;
  difference: number | null;
  error: string | null;
  errors: number;
  failures: Case[];
  job: string;
  message: string | null;
  p_value: number | null;
  score: Score | null;
  state: string;
}
/**
 * A share of exact matches with its 95% interval, over the ``records`` that were answered.
 */
export interface Score {
  deployment: string;
  high: number;
  low: number;
  records: number;
  value: number;
}
/**
 * One record: what was asked, wanted and said.
 */
export interface Case {
  asked: string;
  error: string | null;
  hit: boolean;
  said: string;
  wanted: string;
}
export interface FinetuneParams {
  checkpoint_steps?: number;
  data?: string | null;
  epochs?: number;
  gpu_memory?: (number | string) | null;
  gpus?: number | null;
  held_out?: number;
  lr?: number;
  max_length?: number;
  model?: string | null;
  name?: string | null;
  rank?: number;
  resume?: string | null;
  retries?: number;
  rows?: number;
  seed?: number;
}
export interface GuardrailsListParams {}
/**
 * All policies.
 */
export interface GuardrailsList {
  policies: GuardrailsView[];
}
/**
 * A policy: its rules in order; ``declared``: by a person; ``reach``: characters of a stream held back at most, None is all.
 */
export interface GuardrailsView {
  declared: boolean;
  deployments: string[];
  name: string;
  reach: number | null;
  rules: RuleView[];
}
/**
 * One rule; ``options`` say what its detector takes, ``measured`` what a measurement of a judge said.
 */
export interface RuleView {
  action: Action;
  detector: string;
  finds: string;
  measured: string | null;
  options: {
    [k: string]: unknown;
  };
  rule: string;
  where: Where;
}
export interface GuardrailsMeasureParams {
  set?: string | null;
  what?: string | null;
}
/**
 * Detectors on a set of labelled texts.
 */
export interface Measurement {
  detectors: MeasuredView[];
  set: string;
  texts: number;
}
/**
 * A detector on a set: counts of texts; precision and recall with 95% intervals, None where there is nothing to divide by.
 */
export interface MeasuredView {
  detector: string;
  found: number;
  missed: number;
  precision: ShareView | null;
  recall: ShareView | null;
  texts: number;
  wrong: number;
}
/**
 * A share with its 95% interval.
 */
export interface ShareView {
  high: number;
  low: number;
  value: number;
}
export interface GuardrailsRemoveParams {
  /**
   * a guardrails policy
   */
  policy: string;
}
export interface GuardrailsSetParams {
  block?: string[] | null;
  deny?: string[] | null;
  flag?: string[] | null;
  json_schema?: string | null;
  judge?: string | null;
  language?: string[] | null;
  mask?: string[] | null;
  max_length?: number | null;
  /**
   * a guardrails policy
   */
  policy: string;
  rule?: string | null;
  rules?: string | null;
}
export interface GuardrailsShowParams {
  /**
   * a guardrails policy
   */
  policy: string;
}
export interface GuardrailsTestParams {
  of?: 'input' | 'output';
  /**
   * a guardrails policy
   */
  policy: string;
  /**
   * a text
   */
  text: string;
}
/**
 * What a policy would do to a text as one that is asked, or as an answer.
 */
export interface TrialView {
  becomes: string | null;
  blocked: boolean;
  findings: FindingView[];
  policy: string;
  where: Where;
}
export interface JobsCancelParams {
  grace?: number;
  /**
   * a job: its id, the end of it, its name, or last
   */
  job: string;
}
export interface JobsCostParams {
  by?: 'kind' | 'name' | 'run' | 'notebook';
  days?: number;
}
/**
 * Jobs added up, dearest first; ``lacks`` says why there is no price.
 */
export interface JobCosts {
  by: string;
  days: number;
  lacks: string;
  rows: JobCost[];
}
/**
 * What jobs of one group held and cost; ``cost_pico`` is pico-dollars as text, None where there is no price.
 */
export interface JobCost {
  cost_pico: string | null;
  cpu_hours: number;
  gpu_hours: number;
  group: string;
  jobs: number;
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
export interface JobsPriorityParams {
  /**
   * a job: its id, the end of it, its name, or last
   */
  job: string;
  priority: number;
}
export interface JobsScheduleParams {
  cron: string;
  missed?: 'once' | 'skip';
  /**
   * a schedule's name
   */
  name: string;
  timezone?: string;
  /**
   * @minItems 1
   */
  words: [string, ...string[]];
}
/**
 * A schedule: the command, when it is due next, and what became of it last.
 */
export interface Schedule {
  command: string;
  cron: string;
  due_at: string | null;
  last_at: string | null;
  last_job: string | null;
  missed: 'once' | 'skip';
  name: string;
  note: string | null;
  timezone: string;
}
export interface JobsSchedulesParams {}
/**
 * All schedules.
 */
export interface ScheduleList {
  schedules: Schedule[];
}
export interface JobsShowParams {
  /**
   * a job: its id, the end of it, its name, or last
   */
  job: string;
}
export interface JobsUnscheduleParams {
  /**
   * a schedule's name
   */
  name: string;
}
export interface KeysCreateParams {
  concurrency?: number | null;
  expires?: (number | string) | null;
  limit?: (number | string) | null;
  models?: (string | string[]) | null;
  name: string;
  project?: string | null;
  requests_per_minute?: number | null;
  /**
   * What a person is to a workspace; each may all that the ones before it may.
   */
  role?: 'viewer' | 'developer' | 'approver' | 'admin';
  routes?: (string | string[]) | null;
  tokens_per_minute?: number | null;
}
/**
 * A key, its role, what it is good for (None: without a limit), and who made it.
 *
 * ``secret`` is its text, there only in the answer to its making. Of ``limit_pico`` are spent ``spent_pico`` and held for
 * requests under way ``reserved_pico``: pico-dollars as text, None without a limit.
 */
export interface KeyView {
  actor: string;
  concurrency: number | null;
  created_at: string;
  expires_at: string | null;
  id: string;
  last_used_at: string | null;
  limit_pico: string | null;
  models: string[] | null;
  name: string;
  prefix: string;
  project: string | null;
  replaces: string | null;
  requests_per_minute: number | null;
  reserved_pico: string | null;
  revoked_at: string | null;
  role: Role;
  routes: string[] | null;
  secret: string | null;
  spent_pico: string | null;
  tokens_per_minute: number | null;
}
export interface KeysListParams {}
/**
 * Keys, newest first, without their secrets.
 */
export interface KeyList {
  keys: KeyView[];
}
export interface KeysRevokeParams {
  key: string;
}
export interface KeysRotateParams {
  key: string;
  /**
   * seconds, or 1h, 7d; 0: none
   */
  overlap?: number | string;
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
  error: ErrorView | null;
  held_out: HeldOut | null;
  higher_is_better: boolean;
  job: string;
  message: string | null;
  metric: string;
  model: string | null;
  rows: number;
  state: State;
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
export interface LeasesFreeParams {
  grace?: number;
  process: number;
}
/**
 * Processors, memory (MiB) and GPUs of this machine. ``unseen``: why the GPUs cannot be seen.
 */
export interface LeasesView {
  cpus: Meter;
  gpus: GpuView[];
  memory: Meter;
  unseen: string | null;
}
/**
 * Something there is only so much of: all of it, what is leased to jobs, and what is used by anybody (None: unknown).
 */
export interface Meter {
  leased: number;
  total: number;
  used: number | null;
}
/**
 * One GPU; memory in MiB, ``load`` in percent (None: unknown), ``free``: neither used nor promised.
 */
export interface GpuView {
  free: number;
  holders: GpuHolder[];
  load: number | null;
  name: string;
  number: number;
  total: number;
  used: number;
  uuid: string;
}
/**
 * Who has memory (MiB) of a GPU.
 *
 * ``kind``: ``job``, ``endpoint``, ``kernel``, ``process``. ``leased``: what was asked for (None: no lease), beside
 * ``used`` now and ``peak``. ``dirty``: its job has ended and process ``pid`` keeps the memory. ``pid`` is what
 * ``leases free`` takes; None where nothing of it runs yet.
 */
export interface GpuHolder {
  account: string | null;
  dirty: boolean;
  job: string | null;
  kernel: string | null;
  kind: string;
  leased: number | null;
  name: string;
  notebook: string | null;
  peak: number;
  pid: number | null;
  used: number;
  whole: boolean;
}
export interface LeasesShowParams {}
export interface MergeParams {
  /**
   * a path, relative to the current folder
   */
  other: string;
  plan?: boolean;
}
/**
 * What a merge brought, or with ``planned`` would bring. ``size`` is in bytes, of ``files`` that were not here.
 */
export interface MergeView {
  aliases: string[];
  came: Came[];
  collisions: Collision[];
  damaged: string[];
  files: number;
  left: string[];
  other: string;
  planned: boolean;
  size: number;
  workspace: string;
}
/**
 * How many of one thing came, and how many were here already.
 */
export interface Came {
  came: number;
  here: number;
  what: string;
}
/**
 * A name or number that is taken here, and what was done.
 */
export interface Collision {
  done: string;
  what: string;
}
export interface ModelsAddParams {
  base?: string | null;
  /**
   * a,b,c
   */
  classes?: string | null;
  example?: string | null;
  held_out?: string | null;
  /**
   * a fitted model's name in the notebook, or a file or folder
   */
  model: string;
  name?: string | null;
  note?: string | null;
  run?: string | null;
  target?: string;
  trust?: boolean;
}
/**
 * A model version: what it reads, what it was chosen by, and the run that made it. ``size`` is in bytes.
 *
 * ``stage`` is the state of its newest promotion, ``registered`` where there is none; ``notebook`` and ``cell_id`` are
 * those of its run.
 */
export interface ModelView {
  actor: string;
  aliases: string[];
  base: string | null;
  blob: string;
  cell_id: string | null;
  created_at: string;
  evidence: {
    [k: string]: unknown;
  };
  example: string | null;
  format: string;
  id: string;
  name: string;
  note: string | null;
  notebook: string | null;
  run: string | null;
  run_name: string | null;
  signature: {
    [k: string]: unknown;
  };
  size: number;
  stage: string;
  task: string;
  version: number;
}
export interface ModelsCardParams {
  /**
   * a model: NAME, NAME@VERSION or NAME@ALIAS
   */
  model: string;
}
/**
 * What the record says of a model version. ``path``: the file it was written to, too.
 */
export interface Card {
  limits: string[];
  measured: Measured | null;
  note: string | null;
  path?: string | null;
  reference: string;
  sections: Section[];
  summary: string;
}
/**
 * A score on held-out rows with its 95% interval, and the baseline's on the same rows.
 */
export interface Measured {
  baseline: number | null;
  high: number;
  low: number;
  metric: string;
  score: number;
}
/**
 * Rows under a heading.
 */
export interface Section {
  rows: Row[];
  title: string;
}
/**
 * A name and what is known of it.
 */
export interface Row {
  name: string;
  value: string;
}
export interface ModelsExportParams {
  experiment?: string;
  /**
   * a model: NAME, NAME@VERSION or NAME@ALIAS
   */
  model: string;
  /**
   * an interpreter that has MLflow
   */
  python?: string | null;
  /**
   * an MLflow store: sqlite:///mlflow.db, an mlruns folder, a server's URL, or env
   */
  to: string;
}
/**
 * A model version and what it is in MLflow; ``new`` is false where it was there already.
 */
export interface ExportedModel {
  mlflow_run: string;
  name: string;
  new: boolean;
  reference: string;
  version: string;
}
export interface ModelsImportParams {
  model: string;
  name?: string | null;
  /**
   * an interpreter that has MLflow
   */
  python?: string | null;
  trust?: boolean;
  /**
   * an MLflow store: sqlite:///mlflow.db, an mlruns folder, a server's URL, or env
   */
  uri: string;
}
export interface ModelsLineageParams {
  /**
   * a model: NAME, NAME@VERSION or NAME@ALIAS
   */
  model: string;
}
/**
 * Where a model version comes from and where it went.
 */
export interface LineageView {
  edges: LineageEdge[];
  model: string;
  nodes: LineageNode[];
}
/**
 * An arrow from what was there before to what was made of it.
 */
export interface LineageEdge {
  label: string;
  source: string;
  target: string;
}
/**
 * One thing of a lineage; ``reference`` is what the command that shows it takes.
 *
 * ``kind``: dataset, code, environment, run, base, model, deployment or eval.
 */
export interface LineageNode {
  cell_id: string | null;
  detail: string;
  id: string;
  kind: 'dataset' | 'code' | 'environment' | 'run' | 'base' | 'model' | 'deployment' | 'eval';
  label: string;
  notebook: string | null;
  reference: string | null;
}
export interface ModelsListParams {
  /**
   * champion, canary …
   */
  alias?: string | null;
  /**
   * how many at most
   */
  limit?: number;
  search?: string;
  /**
   * binary, multiclass, regression, chat …
   */
  task?: string | null;
}
/**
 * Model versions, newest first.
 */
export interface ModelList {
  models: ModelView[];
}
export interface ModelsMergeParams {
  /**
   * a model: NAME, NAME@VERSION or NAME@ALIAS
   */
  model: string;
  name?: string | null;
}
export interface ModelsNoteParams {
  /**
   * a model: NAME, NAME@VERSION or NAME@ALIAS
   */
  model: string;
  text?: string | null;
}
export interface ModelsPrintParams {
  /**
   * a model: NAME, NAME@VERSION or NAME@ALIAS
   */
  model: string;
  /**
   * a path, relative to the current folder
   */
  out: string;
}
export interface ModelsShowParams {
  /**
   * a model: NAME, NAME@VERSION or NAME@ALIAS
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
 * A pipeline's run: steps in order, and what was found.
 */
export interface PipelineView {
  error: string | null;
  findings: Finding[];
  job: string;
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
 * One thing a pipeline found, as a row of its table; every cell is text with its unit and interval.
 */
export interface Finding {
  baseline: string;
  chance: string;
  difference: string;
  found: string;
  recorded: string;
  seconds: number | null;
  step: string;
  what: string;
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
export interface PoliciesListParams {}
/**
 * Declared policies, what holds where none is (``otherwise``), and the checks there are.
 */
export interface PolicyList {
  checks: CheckView[];
  otherwise: PolicyView;
  policies: PolicyView[];
}
/**
 * A check that a policy can ask for, and of which kinds.
 */
export interface CheckView {
  asks: string;
  kinds: string[];
  name: string;
}
/**
 * What is asked of a kind, of one thing (``name``), or for one alias (``target``); ``own``: whether one may approve one's own.
 */
export interface PolicyView {
  approvers: number;
  kind: string;
  name: string | null;
  needs: string[];
  own: boolean;
  target: string | null;
}
export interface PoliciesRemoveParams {
  to?: string | null;
  /**
   * a kind (model), or one thing of it (model:NAME)
   */
  what: string;
}
export interface PoliciesSetParams {
  approvers?: number;
  /**
   * a check
   */
  need?:
    | []
    | [string]
    | [string, string]
    | [string, string, string]
    | [string, string, string, string]
    | [string, string, string, string, string]
    | [string, string, string, string, string, string]
    | [string, string, string, string, string, string, string]
    | [string, string, string, string, string, string, string, string]
    | [string, string, string, string, string, string, string, string, string]
    | [string, string, string, string, string, string, string, string, string, string]
    | [string, string, string, string, string, string, string, string, string, string, string]
    | [string, string, string, string, string, string, string, string, string, string, string, string]
    | [string, string, string, string, string, string, string, string, string, string, string, string, string]
    | [string, string, string, string, string, string, string, string, string, string, string, string, string, string]
    | [
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string
      ]
    | [
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string
      ]
    | [
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string
      ]
    | [
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string
      ]
    | [
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string
      ]
    | [
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string,
        string
      ]
    | null;
  own?: boolean;
  to?: string | null;
  /**
   * a kind (model), or one thing of it (model:NAME)
   */
  what: string;
}
export interface PredictParams {
  /**
   * a table: a DataFrame's name, a CSV or Parquet file, or DATASET[@VERSION]
   */
  data: string;
  /**
   * a model: NAME, NAME@VERSION or NAME@ALIAS
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
export interface PricesComputeParams {
  /**
   * the day it was looked up; default today
   */
  date?: string | null;
  dollars?: (number | string) | null;
  gpu_hour?: (number | string) | null;
  kwh?: (number | string) | null;
  /**
   * where a price comes from: a link, a contract
   */
  source?: string;
  /**
   * watts
   */
  watts?: number | string | null;
}
/**
 * A declared price; dollars an hour, or dollars a million tokens of a bucket, with where and when it was found.
 */
export interface Price {
  fields: {
    [k: string]: string;
  };
  name: string;
}
export interface PricesListParams {}
/**
 * Declared prices by name.
 */
export interface PriceList {
  prices: Price[];
}
export interface PricesRemoveParams {
  name: string;
}
export interface PricesSetParams {
  cache_write?: (number | string) | null;
  cached?: (number | string) | null;
  /**
   * the day it was looked up; default today
   */
  date?: string | null;
  /**
   * dollars
   */
  input: number | string;
  model: string;
  output?: (number | string) | null;
  reasoning?: (number | string) | null;
  /**
   * where a price comes from: a link, a contract
   */
  source?: string;
}
export interface PricesShowParams {
  model: string;
}
/**
 * What a model's tokens cost, in dollars a million; None where there is no price; ``above``: from so many tokens read on.
 */
export interface PriceShown {
  above: {
    [k: string]: {
      [k: string]: string;
    };
  };
  buckets: {
    [k: string]: string | null;
  };
  model: string;
  source: string;
}
export interface PromoteParams {
  /**
   * why, for who reads it later
   */
  comment?: string;
  /**
   * an alias such as champion
   */
  to?: string;
  /**
   * KIND:NAME@VERSION; NAME@VERSION is a model
   */
  what: string;
}
export interface ProvidersListParams {}
/**
 * All providers.
 */
export interface ProviderList {
  providers: ProviderView[];
}
/**
 * A provider: ``key_env`` or ``keyring`` name the place of its key; the key itself is never here.
 */
export interface ProviderView {
  base_url: string;
  key_env: string | null;
  keyring: string | null;
  name: string;
  private: boolean;
}
export interface ProvidersRemoveParams {
  /**
   * a provider's name
   */
  name: string;
}
export interface ProvidersSetParams {
  base_url: string;
  key_env?: string | null;
  keyring?: string | null;
  name: string;
  private?: boolean;
}
export interface QueueLimitParams {
  at_most: number;
  /**
   * a queue's name; default is the usual one
   */
  queue: string;
}
/**
 * A queue: how many of it run and wait, how many may run at once (None: as many as there is room for).
 */
export interface QueueView {
  at_most: number | null;
  name: string;
  paused: boolean;
  queued: number;
  running: number;
}
export interface QueueListParams {}
/**
 * All queues that have or had jobs, or a limit.
 */
export interface QueueList {
  queues: QueueView[];
}
export interface QueuePauseParams {
  queue?: string | null;
}
export interface QueueResumeParams {
  queue?: string | null;
}
export interface RejectParams {
  /**
   * why, for who reads it later
   */
  comment?: string;
  /**
   * a request: its id, or the end of it
   */
  request: string;
}
export interface RequestsListParams {
  /**
   * how many at most
   */
  limit?: number;
}
/**
 * Requests, newest first.
 */
export interface RequestList {
  requests: RequestView[];
}
/**
 * One request; see ``costs.requests.Request``. ``cost_pico`` is pico-dollars as text, ``hit`` the gateway's own cache.
 */
export interface RequestView {
  at: string;
  attempts: number;
  cache_write_tokens: number | null;
  cached_tokens: number | null;
  cell_id: string | null;
  cost_pico: string | null;
  deployment: string;
  duration_ms: number;
  ended: string;
  first_token_ms: number | null;
  hit: boolean;
  id: string;
  input_tokens: number | null;
  machine_seconds: number | null;
  model: string;
  notebook: string | null;
  output_tokens: number | null;
  price: string;
  project: string | null;
  reasoning_tokens: number | null;
  route: string;
  state: string;
  status: number;
  streamed: boolean;
  target: string;
  usage: string;
}
export interface RolesListParams {}
/**
 * Who has which role; ``open`` where none is declared and whoever comes is an admin.
 */
export interface RoleList {
  open: boolean;
  roles: RoleView[];
}
/**
 * A person's role, where it is known from, and which effects of commands it allows.
 */
export interface RoleView {
  allows: Effect[];
  name: string;
  role: Role;
  source: string;
}
export interface RolesRemoveParams {
  last?: boolean;
  name: string;
}
export interface RolesSetParams {
  name: string;
  role: Role;
}
export interface RolesShowParams {
  name?: string | null;
}
export interface RolloutBackParams {
  /**
   * a deployment's name
   */
  name: string;
}
/**
 * The models behind a name beside each other, over the time in which all were asked; ``before``: what one goes back to.
 */
export interface Rollout {
  before: string | null;
  differences: DifferenceView[];
  name: string;
  targets: TargetView[];
}
/**
 * A figure of a model on trial less that of the one that stands; ``chance``: the difference could be chance.
 */
export interface DifferenceView {
  chance: boolean;
  difference: number;
  figure: string;
  high: number;
  low: number;
  target: string;
}
/**
 * One model behind a name; ``role``: stands, canary or shadow.
 */
export interface TargetView {
  engine: string;
  figures: FigureView[];
  id: string;
  model: string;
  requests: number;
  role: string;
  share: number;
}
/**
 * A figure over ``count`` requests; ``low`` and ``high``: its 95 % interval. A share, milliseconds, or pico-dollars.
 */
export interface FigureView {
  count: number;
  high: number | null;
  low: number | null;
  name: string;
  value: number | null;
}
export interface RolloutPromoteParams {
  /**
   * a deployment's name
   */
  name: string;
}
export interface RolloutShareParams {
  /**
   * a deployment's name
   */
  name: string;
  /**
   * percent of the requests
   */
  percent: number;
}
export interface RolloutShowParams {
  /**
   * a deployment's name
   */
  name: string;
}
export interface RunParams {
  after?: string[] | null;
  /**
   * Python
   */
  cell?: string | null;
  cpus?: number;
  gpu_memory?: (number | string) | null;
  gpus?: number;
  inputs?: (string | string[]) | null;
  key?: string | null;
  max_hours?: number;
  memory?: (number | string) | null;
  name?: string | null;
  out?: string | null;
  outputs?: (string | string[]) | null;
  /**
   * NAME=VALUE
   */
  param?: string[] | null;
  priority?: number;
  /**
   * a queue's name; default is the usual one
   */
  queue?: string;
  resume?: string | null;
  retries?: number;
  time_limit?: (number | string) | null;
  /**
   * a command's words, a script or a notebook
   */
  what?: string[] | null;
}
export interface RunsCompareParams {
  /**
   * runs: ids, the ends of ids, or names
   *
   * @minItems 1
   */
  run: [string, ...string[]];
  smooth?: number;
}
/**
 * What differs between runs; what is the same is left out and counted.
 *
 * ``code``: the difference of the sources of the first two runs' cells, as a unified diff; ``data``: what differs between
 * the tables they read; ``curves``: metrics that more than one of them logged over steps, over each other.
 */
export interface RunComparison {
  code: string | null;
  curves: CurveList[];
  data: string[];
  differences: Difference[];
  runs: RunView[];
  same: number;
}
/**
 * Curves of one metric over each other.
 */
export interface CurveList {
  curves: CurveView[];
  metric: string;
}
/**
 * A metric of a run over its steps, thinned to what a chart can show.
 *
 * Each point stands for a stretch of steps: ``steps`` is its last, ``values`` its mean (smoothed where asked for),
 * ``low`` and ``high`` its extremes; None where there was no number. ``number`` points were logged in all.
 */
export interface CurveView {
  high: (number | null)[];
  low: (number | null)[];
  metric: string;
  name: string;
  number: number;
  run: string;
  steps: number[];
  values: (number | null)[];
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
 * A run: its parameters, the value of each metric at its latest step, and where it came from.
 *
 * ``state`` is as a job's; ``lost``: its process ended without a word.
 */
export interface RunView {
  actor: string;
  artifacts: ArtifactView[];
  cell_id: string | null;
  cell_sha256: string | null;
  dataset: string | null;
  deleted_at: string | null;
  ended_at: string | null;
  environment: string | null;
  execution_count: number | null;
  git_commit: string | null;
  git_diff: string | null;
  id: string;
  job: string | null;
  kind: string;
  metrics: {
    [k: string]: number;
  };
  name: string;
  note: string | null;
  notebook: string | null;
  out_of_order: boolean | null;
  out_of_order_why: string | null;
  params: {
    [k: string]: string;
  };
  parent: string | null;
  script: string | null;
  session: string | null;
  started_at: string;
  state: string;
  tags: {
    [k: string]: string;
  };
}
/**
 * A file or folder kept with a run. ``blob``: SHA-256 of its content; ``size`` in bytes.
 */
export interface ArtifactView {
  blob: string;
  folder: boolean;
  name: string;
  size: number;
}
export interface RunsCurveParams {
  /**
   * a metric's name
   */
  metric: string;
  points?: number;
  /**
   * runs: ids, the ends of ids, or names
   *
   * @minItems 1
   */
  run: [string, ...string[]];
  smooth?: number;
  start?: number | null;
  stop?: number | null;
}
export interface RunsDeleteParams {
  /**
   * runs: ids, the ends of ids, or names
   *
   * @minItems 1
   */
  run: [string, ...string[]];
}
/**
 * Runs in the order asked for; ``more``: there are others that fit.
 */
export interface RunList {
  more?: boolean;
  runs: RunView[];
}
export interface RunsExportParams {
  experiment?: string;
  /**
   * an interpreter that has MLflow
   */
  python?: string | null;
  /**
   * a run: its id, the end of it, its name, or last
   */
  run: string;
  /**
   * an MLflow store: sqlite:///mlflow.db, an mlruns folder, a server's URL, or env
   */
  to: string;
}
/**
 * What was given to a store.
 */
export interface ExportedRuns {
  runs: ExportedRun[];
}
/**
 * A run and its id in MLflow; ``new`` is false where it was there already.
 */
export interface ExportedRun {
  id: string;
  mlflow: string;
  name: string;
  new: boolean;
  notes: string[];
}
export interface RunsFetchParams {
  name: string;
  /**
   * a run: its id, the end of it, its name, or last
   */
  run: string;
  to?: string | null;
}
/**
 * A file or folder of a run, copied to ``path``.
 */
export interface Fetched {
  name: string;
  path: string;
  run: string;
  size: number;
}
export interface RunsImportParams {
  experiment?: string | null;
  /**
   * an interpreter that has MLflow
   */
  python?: string | null;
  run?: string | null;
  trust?: boolean;
  /**
   * an MLflow store: sqlite:///mlflow.db, an mlruns folder, a server's URL, or env
   */
  uri: string;
}
/**
 * What was found in a store.
 */
export interface ImportedRuns {
  runs: ImportedRun[];
}
/**
 * A run of MLflow and what it is here: ``was`` added, updated or same; ``models`` are its new versions.
 */
export interface ImportedRun {
  id: string;
  mlflow: string;
  models: string[];
  name: string;
  notes: string[];
  state: string;
  was: string;
}
export interface RunsListParams {
  /**
   * run, automl, trial, notebook …
   */
  kind?: string | null;
  /**
   * how many at most
   */
  limit?: number;
}
export interface RunsReproduceParams {
  here?: boolean;
  /**
   * a run: its id, the end of it, its name, or last
   */
  run: string;
  tolerance?: number;
}
export interface RunsReproductionParams {
  /**
   * a job: its id, the end of it, its name, or last
   */
  job?: string;
}
/**
 * A run that is run again.
 *
 * ``verdict``: ``same``, ``same within tolerance``, ``differs`` or ``could not be run again``; None while it runs.
 * ``again``: the id of the new run. ``rows``: metrics, models, and all else that is not the same; ``same``: how many values are.
 */
export interface ReproductionView {
  again: string | null;
  error: string | null;
  job: string;
  message: string | null;
  name: string;
  rows: ReproductionRow[];
  run: string;
  same: number;
  state: string;
  steps: ReproductionStep[];
  tolerance: number;
  verdict: string | null;
}
/**
 * One value then and now; ``likeness``: same, close, differs, not made again, new, or not compared.
 */
export interface ReproductionRow {
  after: string | null;
  before: string | null;
  kind: string;
  likeness: string;
  name: string;
}
/**
 * One thing that is done, in order. ``detail``: what will be done, then how it went.
 */
export interface ReproductionStep {
  detail: string;
  name: string;
  state: 'waiting' | 'running' | 'done' | 'failed';
}
export interface RunsRestoreParams {
  /**
   * runs: ids, the ends of ids, or names
   *
   * @minItems 1
   */
  run: [string, ...string[]];
}
export interface RunsSearchParams {
  ascending?: boolean;
  by?: string | null;
  /**
   * how many at most
   */
  limit?: number;
  /**
   * a condition, as metric.auc > 0.9 and param.lr < 1e-3
   */
  where: string;
}
export interface RunsShowParams {
  /**
   * a run: its id, the end of it, its name, or last
   */
  run: string;
}
/**
 * A run with all that is known of it: the source of its cell, what differed from the commit, curves, nested runs, models.
 *
 * ``since``: what became of the cell or script after: ``same``, ``changed``, ``gone`` or ``unknown``, and that in words. ``dataset_name``: the
 * dataset version whose content it read, if that is in the catalog. ``diff`` is cut where it is long.
 */
export interface RunPage {
  actor: string;
  artifacts: ArtifactView[];
  cell_id: string | null;
  cell_sha256: string | null;
  curves: CurveView[];
  dataset: string | null;
  dataset_name: string | null;
  deleted_at: string | null;
  diff: string | null;
  ended_at: string | null;
  environment: string | null;
  execution_count: number | null;
  figures: MetricView[];
  git_commit: string | null;
  git_diff: string | null;
  id: string;
  job: string | null;
  kind: string;
  metrics: {
    [k: string]: number;
  };
  models: string[];
  name: string;
  nested: RunView[];
  note: string | null;
  notebook: string | null;
  out_of_order: boolean | null;
  out_of_order_why: string | null;
  params: {
    [k: string]: string;
  };
  parent: string | null;
  script: string | null;
  session: string | null;
  since: string;
  since_words: string;
  source: string | null;
  started_at: string;
  state: string;
  tags: {
    [k: string]: string;
  };
}
/**
 * A metric of a run: its value at the latest step, its least and greatest, and how many were logged.
 */
export interface MetricView {
  high: number | null;
  last: number | null;
  low: number | null;
  name: string;
  number: number;
  step: number;
}
export interface RunsTagParams {
  note?: string | null;
  /**
   * a run: its id, the end of it, its name, or last
   */
  run: string;
  tags?: {
    [k: string]: unknown;
  } | null;
}
export interface SampleLlmParams {
  again?: boolean;
  steps?: number;
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
export interface TelemetryOffParams {}
/**
 * Where the gateway sends to.
 *
 * ``source`` is ``catalog`` where an address is declared, ``environment`` where OpenTelemetry's variables name it (here, as this
 * process has them), else ``off``, and ``why`` says why. ``headers_env`` names the variable with the headers; they are never here.
 */
export interface TelemetryView {
  headers_env: string | null;
  metrics: string | null;
  source: string;
  traces: string | null;
  why: string | null;
}
export interface TelemetrySetParams {
  endpoint?: string | null;
  headers_env?: string | null;
  spans_only?: boolean;
}
export interface TelemetryShowParams {}
export interface TrainingParams {
  /**
   * a job: its id, the end of it, its name, or last
   */
  job?: string;
}
/**
 * A training. Losses are in nats a token; ``preview`` is the first record, in pieces.
 */
export interface Training {
  base: string;
  elapsed: number;
  error: ErrorView | null;
  held_out: number[];
  held_out_steps: number[];
  job: string;
  kind: string;
  loss: number[];
  loss_steps: number[];
  message: string | null;
  model: string | null;
  parameters: number;
  preview: Piece[];
  state: State;
  steps: number;
  tokens_per_second: number | null;
  trainable: number;
}
/**
 * A part of a record, and whether it is learnt.
 */
export interface Piece {
  content: string;
  learnt: boolean;
}
export interface TuneEndpointParams {
  apply?: boolean;
  concurrency?: number;
  limit?: number;
  max_tokens?: number;
  /**
   * a deployment's name
   */
  name: string;
  /**
   * a path, relative to the current folder
   */
  prompts: string;
  /**
   * a setting as the plan names it
   */
  setting?: string[] | null;
  time?: (number | string) | null;
}
export interface TuneEndpointPlanParams {
  concurrency?: number;
  limit?: number;
  /**
   * a deployment's name
   */
  name: string;
  /**
   * a path, relative to the current folder
   */
  prompts: string;
  /**
   * a setting as the plan names it
   */
  setting?: string[] | null;
  time?: (number | string) | null;
}
/**
 * What a sweep will do; memory in MiB, of one engine more. ``fits`` None: what it needs is not known.
 */
export interface TuningPlan {
  deployment: string;
  fits: boolean | null;
  free: number;
  memory: number | null;
  prompts: number;
  requests: number;
  seconds: number;
  settings: string[];
  wanted: number;
}
export interface UndeployParams {
  gateway?: boolean;
  name?: string | null;
}
