// One endpoint: how it is, how it does, what stands behind it, what went wrong, and how to ask it.

import React, { useId, useState } from 'react';
import type {
  BudgetLine,
  Broken,
  EndpointView,
  Replica,
  Rollout,
  Served
} from '../api/generated.js';
import { SmallChart } from '../charts/SmallChart.js';
import { Budgets } from '../costs/Budgets.js';
import { STATE_ICONS } from '../icons.js';
import { Log } from '../log/Log.js';
import { LogButton } from '../log/LogButton.js';
import { Code } from '../pages/Code.js';
import { usePage } from '../pages/context.js';
import { Act, Facts, Go, Part } from '../pages/parts.js';
import { Table } from '../pages/Table.js';
import { formatSize } from '../runs/words.js';
import { Choices } from '../sections/Choices.js';
import { useSection } from '../sections/context.js';
import { CopyButton } from '../sections/CopyButton.js';
import { LongText } from '../sections/LongText.js';
import { useNow } from '../sections/useNow.js';
import {
  formatCount,
  formatDuration,
  formatLatency,
  formatMoment,
  formatTime,
  restartsText,
  stateWord
} from '../sections/words.js';
import {
  brokeWord,
  figuresOf,
  formatRate,
  formatShare,
  guardText
} from './figures.js';
import type { Held } from './memory.js';
import { address, known } from './reconcile.js';
import { RolloutPart } from './RolloutPart.js';

const MIB = 1024 * 1024;
/** How a model version is named; what else is served has no page. */
const VERSION = /^[^/@]+@\d+$/;

/** Minutes the figures may go back. */
export type Back = '15' | '60' | '1440';

export interface EndpointPageProps {
  endpoint: EndpointView;
  /** What its services held since the page was opened. */
  held: readonly Held[];
  /** Its models beside each other; null until that was read, or where there is but one. */
  rollout: Rollout | null;
  /** Those that count all requests to it; null until they were read. */
  budgets: readonly BudgetLine[] | null;
  back: Back;
  onBack: (back: Back) => void;
  onStop: () => void;
  onKeys: () => void;
}

export function EndpointPage(props: EndpointPageProps): React.JSX.Element {
  const { endpoint, held, rollout, budgets, back, onBack } = props;
  const { trans } = useSection();
  const ago = (minutes: Back): string =>
    minutes === '15'
      ? trans.__('15 minutes')
      : minutes === '60'
        ? trans.__('1 hour')
        : trans.__('1 day');
  return (
    <article className="snapml-Page-body" data-endpoint={endpoint.name}>
      <Head {...props} />
      <Part
        title={trans.__('How it does')}
        testid="snapml-endpoint-figures"
        aside={
          <Choices
            label={trans.__('How far back')}
            choices={(['15', '60', '1440'] as const).map(
              minutes => [minutes, ago(minutes)] as const
            )}
            chosen={back}
            onChoose={onBack}
            testid="snapml-endpoint-back"
          />
        }
      >
        {!endpoint.whole && (
          <p className="snapml-Quiet" role="status">
            {trans.__(
              'It has more requests than are looked at: figures are of the latest %1, since %2.',
              formatCount(endpoint.doing.requests),
              formatTime(endpoint.since) ?? endpoint.since
            )}
          </p>
        )}
        <div className="snapml-Smalls">
          {figuresOf(endpoint, held, trans).map(figure => (
            <SmallChart
              key={figure.id}
              title={figure.title}
              value={figure.value}
              note={figure.note}
              points={figure.points}
              format={figure.format}
              testid={`snapml-figure-${figure.id}`}
            />
          ))}
        </div>
      </Part>
      <Part title={trans.__('What answers')} testid="snapml-endpoint-targets">
        <ul className="snapml-Targets" role="list">
          {endpoint.targets.map(target => (
            <li key={target.id} role="listitem">
              <Target target={target} alone={endpoint.targets.length === 1} />
            </li>
          ))}
        </ul>
      </Part>
      <RolloutPart endpoint={endpoint} rollout={rollout} />
      {budgets !== null && (
        <Budgets budgets={budgets} deployment={endpoint.name} />
      )}
      {endpoint.broken.length > 0 && (
        <Part
          title={trans.__('What went wrong last')}
          testid="snapml-endpoint-broken"
        >
          <BrokenTable
            broken={endpoint.broken}
            alone={endpoint.targets.length === 1}
          />
        </Part>
      )}
      {endpoint.snippets.length > 0 && (
        <Part title={trans.__('How to ask it')} testid="snapml-endpoint-ask">
          <Snippets endpoint={endpoint} />
        </Part>
      )}
      <Part title={trans.__('Its rules')} testid="snapml-endpoint-rules">
        <Rules endpoint={endpoint} />
      </Part>
    </article>
  );
}

function Head(props: EndpointPageProps): React.JSX.Element {
  const { endpoint, onStop, onKeys } = props;
  const { name, state, message } = endpoint;
  const { trans } = useSection();
  const shown = known(state);
  const Icon = STATE_ICONS[shown];
  const url = address(endpoint);
  const served = endpoint.targets
    .flatMap(target => target.services)
    .some(service => service.state !== 'stopped');
  const stopping = shown === 'stopping';
  return (
    <header className="snapml-Page-head">
      <div className="snapml-Page-title">
        <Icon.react
          tag="span"
          className={`snapml-Row-icon snapml-is-${shown}`}
          aria-hidden
        />
        <h1 dir="auto">{name}</h1>
        <span className="snapml-Page-acts">
          <Act onClick={onKeys} testid="snapml-endpoint-keys">
            {trans.__('API keys')}
          </Act>
          <Act
            onClick={onStop}
            barred={stopping ? trans.__('It is stopping.') : null}
            label={
              served ? trans.__('Stop %1…', name) : trans.__('Remove %1', name)
            }
            testid="snapml-endpoint-page-stop"
          >
            {served ? trans.__('Stop…') : trans.__('Remove')}
          </Act>
        </span>
      </div>
      <p className="snapml-Page-meta" data-testid="snapml-endpoint-state">
        <strong>{stateWord(shown, trans)}</strong>
        {' · '}
        {endpoint.task}
        {endpoint.gateway === 'running'
          ? ''
          : ` · ${trans.__('gateway: %1', stateWord(known(endpoint.gateway), trans))}`}
      </p>
      {url !== null && (
        <div className="snapml-Address snapml-Page-address">
          <code title={url}>{url}</code>
          <CopyButton
            text={url}
            label={trans.__('Copy the address of %1', name)}
            testid="snapml-endpoint-page-copy"
          />
        </div>
      )}
      {message !== null && message !== '' && (
        <div className="snapml-Flag" role="status">
          <LongText className="snapml-Flag-text" text={message} />
        </div>
      )}
    </header>
  );
}

/** One model behind the name. */
function Target(props: {
  target: Served;
  /** Whether it is the only one, so that its share goes without saying. */
  alone: boolean;
}): React.JSX.Element {
  const { target, alone } = props;
  const { model, engine, share, shadow, on, services, doing } = target;
  const { trans } = useSection();
  const { openModel, openEndpoint } = usePage();
  const failed = doing.failures.reduce((sum, item) => sum + item.requests, 0);
  const part = shadow
    ? trans.__('Shadow: gets a copy of each request, nobody sees its answers')
    : trans.__('Share: %1', formatShare(share / 100));
  const did = [
    trans._n(
      '%2 request',
      '%2 requests',
      doing.requests,
      formatCount(doing.requests)
    ),
    failed > 0 ? trans.__('%1 went wrong', formatCount(failed)) : '',
    doing.first_token_ms === null
      ? ''
      : trans.__(
          'first token after %1',
          formatLatency(doing.first_token_ms.p50, trans)
        ),
    doing.tokens_per_second === null
      ? ''
      : trans.__('%1 tokens/s', formatRate(doing.tokens_per_second))
  ];
  return (
    <section
      className="snapml-Target"
      aria-label={trans.__('%1 by %2', model, engine)}
      data-testid="snapml-target"
      data-target={target.id}
    >
      <div className="snapml-Target-head">
        <span className="snapml-Target-name" dir="auto">
          {VERSION.test(model) ? (
            <Go onClick={() => openModel(model)}>{model}</Go>
          ) : (
            model
          )}
        </span>
        <span className="snapml-Chip" dir="auto">
          {engine}
        </span>
        {!alone && <span className="snapml-Row-aside">{target.id}</span>}
      </div>
      {(!alone || shadow) && (
        <div className="snapml-Target-share">
          <span>{part}</span>
          {!shadow && (
            <span className="snapml-Bar" aria-hidden>
              <span
                className="snapml-Bar-fill"
                style={{ width: `${Math.min(100, Math.max(0, share))}%` }}
              />
            </span>
          )}
        </div>
      )}
      <div className="snapml-Row-message">
        {did.filter(Boolean).join(' · ')}
      </div>
      {on !== null && (
        <div className="snapml-Row-message" dir="auto">
          {trans.__('An adapter on the engine of')}{' '}
          <Go onClick={() => openEndpoint(on)}>{on}</Go>
        </div>
      )}
      {services.length === 0 && on === null && (
        <div className="snapml-Row-message">
          {trans.__('Answers elsewhere: no service of it runs here.')}
        </div>
      )}
      {services.map(service => (
        <Service
          key={service.name}
          service={service}
          named={services.length > 1}
        />
      ))}
    </section>
  );
}

function Service(props: {
  service: Replica;
  /** Whether its name tells it from others. */
  named: boolean;
}): React.JSX.Element {
  const { service, named } = props;
  const { name, message, restarts, job, memory, peak_memory } = service;
  const { trans } = useSection();
  const { showJob } = usePage();
  const [open, setOpen] = useState(false);
  const log = useId();
  const state = known(service.state);
  const Icon = STATE_ICONS[state];
  const size = (mib: number): string => formatSize(mib * MIB);
  const parts = [
    restartsText(restarts, trans),
    memory === null ? '' : trans.__('%1 memory', size(memory)),
    peak_memory === null ? '' : trans.__('at most %1', size(peak_memory)),
    service.gpu_memory === null
      ? ''
      : trans.__('%1 of GPUs', size(service.gpu_memory))
  ];
  return (
    <div
      className="snapml-Service"
      data-testid="snapml-service"
      data-state={state}
    >
      <div className="snapml-Service-line">
        <Icon.react
          tag="span"
          className={`snapml-Row-icon snapml-is-${state}`}
          aria-hidden
        />
        <span className="snapml-Service-words">
          <strong>{stateWord(state, trans)}</strong>
          {named && (
            <span className="snapml-Service-name" dir="auto">
              {name}
            </span>
          )}
          <span className="snapml-Row-aside">
            {parts.filter(Boolean).join(' · ')}
          </span>
        </span>
        {job !== null && (
          <span className="snapml-Row-actions">
            <button
              type="button"
              className="snapml-Link"
              aria-label={trans.__('Show the job of %1', name)}
              onClick={() => showJob(job)}
            >
              {trans.__('Job')}
            </button>
            <LogButton
              name={name}
              open={open}
              controls={log}
              onToggle={() => setOpen(!open)}
              testid="snapml-service-log"
            />
          </span>
        )}
      </div>
      {message !== null && message !== '' && state !== 'running' && (
        <LongText className="snapml-Row-fault" text={message} />
      )}
      {service.last_words.length > 0 && (
        <pre className="snapml-Words" aria-label={trans.__('Last words')}>
          {service.last_words.join('\n')}
        </pre>
      )}
      {open && job !== null && <Log job={job} name={name} id={log} />}
    </div>
  );
}

function BrokenTable(props: {
  broken: readonly Broken[];
  alone: boolean;
}): React.JSX.Element {
  const { broken, alone } = props;
  const { trans } = useSection();
  const now = useNow(false);
  return (
    <Table
      label={trans.__('Requests that went wrong')}
      head={[
        trans.__('When'),
        trans.__('What happened'),
        trans.__('Status'),
        trans.__('After')
      ]}
      rows={broken.map(item => ({
        key: item.id,
        cells: [
          <time
            key="at"
            dateTime={item.at}
            title={formatTime(item.at) ?? undefined}
          >
            {formatMoment(item.at, now)}
          </time>,
          <Happened key="what" item={item} alone={alone} />,
          String(item.status),
          <span key="after" className="snapml-whole">
            {formatLatency(item.duration_ms, trans)}
          </span>
        ]
      }))}
    />
  );
}

function Happened(props: { item: Broken; alone: boolean }): React.JSX.Element {
  const { item, alone } = props;
  const { trans } = useSection();
  const { attempts, guard, key, route, target } = item;
  const details = [
    trans.__('key %1', key),
    route,
    alone ? '' : target,
    attempts > 1 ? trans.__('asked %1 times', formatCount(attempts)) : ''
  ];
  return (
    <>
      {brokeWord(item, trans)}
      <div className="snapml-Row-message" dir="auto">
        {details.filter(Boolean).join(' · ')}
      </div>
      {guard !== null && (
        <div className="snapml-Row-message" dir="auto">
          {trans.__('guardrails: %1', guardText(guard, trans))}
        </div>
      )}
    </>
  );
}

function Snippets({ endpoint }: { endpoint: EndpointView }): React.JSX.Element {
  const { snippets } = endpoint;
  const { trans } = useSection();
  const [name, setName] = useState(snippets[0].name);
  const chosen = snippets.find(snippet => snippet.name === name) ?? snippets[0];
  return (
    <>
      <div className="snapml-Snippets-bar">
        <Choices
          label={trans.__('With what')}
          choices={snippets.map(
            snippet => [snippet.name, snippet.name] as const
          )}
          chosen={chosen.name}
          onChoose={setName}
          testid="snapml-snippet"
        />
        <CopyButton
          text={chosen.code}
          label={trans.__('Copy the lines for %1', chosen.name)}
          testid="snapml-snippet-copy"
        />
      </div>
      <Code
        text={chosen.code}
        label={trans.__('How to ask %1 with %2', endpoint.name, chosen.name)}
      />
      <p className="snapml-Quiet">
        {trans.__(
          'The key is read from the environment variable SNAPML_API_KEY: keep it out of notebooks.'
        )}
      </p>
    </>
  );
}

function Rules({ endpoint }: { endpoint: EndpointView }): React.JSX.Element {
  const { trans } = useSection();
  const time = (seconds: number): string =>
    formatDuration(1000 * seconds, trans);
  const { cache_seconds: again, idle_seconds: idle } = endpoint;
  return (
    <Facts
      facts={[
        [trans.__('Guardrails'), endpoint.guardrails ?? trans.__('none')],
        [trans.__('An answer may take'), time(endpoint.timeout_seconds)],
        [
          trans.__('An answer is given again for'),
          again === null ? null : time(again)
        ],
        [trans.__('Stops when idle for'), idle === null ? null : time(idle)],
        [
          trans.__('Where it does not answer'),
          endpoint.fallbacks.length === 0 ? null : endpoint.fallbacks.join(', ')
        ]
      ]}
    />
  );
}
