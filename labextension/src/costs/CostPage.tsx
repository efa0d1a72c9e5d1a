// The bill in the main area: what was spent by day and what the month will come to, by what it was spent, on which jobs,
// and the latest requests with all that is known of them.

import React from 'react';
import type {
  Costs,
  ForecastView,
  JobCosts,
  RequestView
} from '../api/generated.js';
import { usePage } from '../pages/context.js';
import { Act, Facts, Go, Part } from '../pages/parts.js';
import { Table } from '../pages/Table.js';
import { Choices } from '../sections/Choices.js';
import { useSection } from '../sections/context.js';
import { Line } from '../sections/Line.js';
import { formatCount, formatLatency, formatTime } from '../sections/words.js';
import { Budgets } from './Budgets.js';
import { csvOf } from './csv.js';
import { DayChart } from './DayChart.js';
import { formatCost, formatMoney } from './money.js';
import {
  type By,
  cachedShare,
  PAGE_GROUPS,
  readTokens,
  total,
  writtenTokens
} from './totals.js';
import {
  byWord,
  endedWord,
  formatShare,
  groupName,
  hitsText,
  requestsText
} from './words.js';

/** How far back one can look, in days. */
export const SPANS = [7, 30, 90, 365] as const;

/** Groups listed; the file for a spreadsheet has all. */
const MOST = 100;

export interface CostPageProps {
  /** By day, with jobs, the forecast and the budgets. */
  days: Costs;
  /** By what was chosen; null until it was read. */
  groups: Costs | null;
  jobs: JobCosts | null;
  requests: readonly RequestView[];
  by: By;
  span: number;
  onBy: (by: By) => void;
  onSpan: (span: number) => void;
}

export function CostPage(props: CostPageProps): React.JSX.Element {
  const { days, groups, jobs, requests, by, span } = props;
  const { trans } = useSection();
  return (
    <article className="snapml-Page-body">
      <Head days={days} span={span} onSpan={props.onSpan} />
      <Part title={trans.__('By day')} testid="snapml-cost-by-day">
        <DayChart costs={days} />
        <Told forecast={days.forecast ?? null} />
      </Part>
      <Budgets budgets={days.budgets ?? []} deployment={null} />
      <Part
        title={trans.__('Added up')}
        aside={
          groups !== null && (
            <Act
              onClick={() => save(groups)}
              barred={
                groups.rows.length === 0 ? trans.__('There is nothing.') : null
              }
              testid="snapml-cost-csv"
            >
              {trans.__('CSV')}
            </Act>
          )
        }
        testid="snapml-cost-groups"
      >
        <Choices
          label={trans.__('What to add up by')}
          choices={PAGE_GROUPS.map(group => [group, byWord(group, trans)])}
          chosen={by}
          onChoose={props.onBy}
          testid="snapml-cost-page-by"
        />
        {groups !== null && <Groups costs={groups} />}
      </Part>
      {jobs !== null && jobs.rows.length > 0 && (
        <Part title={trans.__('Jobs')} testid="snapml-cost-jobs">
          <Jobs jobs={jobs} />
        </Part>
      )}
      <Part title={trans.__('Latest requests')} testid="snapml-cost-requests">
        {requests.length === 0 ? (
          <p className="snapml-Quiet">{trans.__('None yet.')}</p>
        ) : (
          <Detail requests={requests} />
        )}
      </Part>
    </article>
  );
}

function Head(props: {
  days: Costs;
  span: number;
  onSpan: (span: number) => void;
}): React.JSX.Element {
  const { days, span, onSpan } = props;
  const { trans } = useSection();
  const sum = total(days.rows);
  const share = cachedShare(days.rows);
  const jobs = (days.spent ?? []).reduce(
    (all, { jobs_pico }) => all + BigInt(jobs_pico),
    0n
  );
  return (
    <header className="snapml-Page-head">
      <div className="snapml-Page-title">
        <h1>{trans.__('Cost')}</h1>
        <Choices
          label={trans.__('How far back')}
          choices={SPANS.map(each => [String(each), trans.__('%1 days', each)])}
          chosen={String(span)}
          onChoose={chosen => onSpan(Number(chosen))}
          testid="snapml-cost-span"
        />
      </div>
      <Facts
        facts={[
          [
            trans.__('Requests'),
            <span key="cost">
              <strong data-testid="snapml-cost-page-total">
                {formatCost(sum, trans)}
              </strong>{' '}
              {trans.__('for %1', requestsText(sum.requests, trans))}
            </span>
          ],
          [trans.__('Jobs'), jobs > 0n ? formatMoney(jobs) : null],
          [
            trans.__('Unknown'),
            sum.unknown > 0 ? requestsText(sum.unknown, trans) : null
          ],
          [
            trans.__('Failed'),
            sum.failed > 0 ? requestsText(sum.failed, trans) : null
          ],
          [
            trans.__('Cached'),
            [
              sum.hits > 0 ? hitsText(sum.hits, trans) : '',
              share === null
                ? ''
                : trans.__('%1 of the prompt tokens', formatShare(share))
            ]
              .filter(Boolean)
              .join(', ')
          ]
        ]}
      />
      {sum.requests > 0 && sum.unknown === sum.requests && (
        <div className="snapml-Flag">
          <span>{trans.__('Say what an hour of this machine costs:')}</span>
          <Line words="%snapml prices compute DOLLARS" />
        </div>
      )}
    </header>
  );
}

function Told(props: { forecast: ForecastView | null }): React.JSX.Element {
  const { forecast } = props;
  const { trans } = useSection();
  const amount = (pico: string): string => formatMoney(BigInt(pico));
  return (
    <p className="snapml-Page-meta" data-testid="snapml-cost-forecast">
      {forecast === null
        ? trans.__('A forecast of the month needs three days.')
        : trans.__(
            'By %1: about %2; 9 times in 10 between %3 and %4, if the days to come are like the last %5.',
            forecast.until,
            amount(forecast.cost_pico),
            amount(forecast.low_pico),
            amount(forecast.high_pico),
            forecast.days
          )}
    </p>
  );
}

function Groups({ costs }: { costs: Costs }): React.JSX.Element {
  const { rows, by } = costs;
  const { trans } = useSection();
  const { goToCell, canOpen } = usePage();
  if (rows.length === 0) {
    return (
      <p className="snapml-Quiet">
        {trans.__('No requests in the last %1 days.', costs.days)}
      </p>
    );
  }
  return (
    <>
      <Table
        label={trans.__('Requests added up')}
        numbers
        head={[
          byWord(by as By, trans),
          trans.__('Requests'),
          trans.__('Failed'),
          trans.__('From cache'),
          trans.__('Tokens in'),
          trans.__('Cached'),
          trans.__('Tokens out'),
          trans.__('First token'),
          trans.__('Tokens/s'),
          trans.__('Cost')
        ]}
        rows={rows.slice(0, MOST).map(row => {
          const { notebook, requests, unknown } = row;
          const name = groupName(row.group, by, trans);
          const pico = BigInt(row.cost_pico);
          const cost = formatCost({ pico, requests, unknown }, trans);
          return {
            key: row.group,
            cells: [
              notebook !== null && canOpen(notebook) ? (
                <Go
                  key="go"
                  onClick={() => goToCell(notebook, row.cell_id)}
                  testid="snapml-cost-go"
                >
                  {name}
                </Go>
              ) : (
                name
              ),
              formatCount(requests),
              row.failed > 0 ? formatCount(row.failed) : '',
              row.hits > 0 ? formatCount(row.hits) : '',
              formatCount(readTokens(row)),
              row.cached_tokens > 0 && row.cached_share !== null
                ? formatShare(row.cached_share)
                : '',
              formatCount(writtenTokens(row)),
              row.first_token_ms === null
                ? ''
                : formatLatency(row.first_token_ms, trans),
              row.tokens_per_second?.toFixed(0) ?? '',
              unknown > 0 && unknown < requests
                ? trans.__('%1 + %2 unknown', cost, formatCount(unknown))
                : cost
            ]
          };
        })}
      />
      {rows.length > MOST && (
        <p className="snapml-Quiet">
          {trans.__(
            'The first %1 of %2; the CSV file has all.',
            MOST,
            rows.length
          )}
        </p>
      )}
    </>
  );
}

function Jobs({ jobs }: { jobs: JobCosts }): React.JSX.Element {
  const { trans } = useSection();
  return (
    <>
      <Table
        label={trans.__('Jobs added up')}
        numbers
        head={[
          trans.__('Kind'),
          trans.__('Jobs'),
          trans.__('CPU hours'),
          trans.__('GPU hours'),
          trans.__('Cost')
        ]}
        rows={jobs.rows.map(row => ({
          key: row.group,
          cells: [
            row.group,
            formatCount(row.jobs),
            row.cpu_hours.toFixed(2),
            row.gpu_hours.toFixed(2),
            row.cost_pico === null
              ? trans.__('unknown')
              : formatMoney(BigInt(row.cost_pico))
          ]
        }))}
      />
      {jobs.lacks !== '' && <p className="snapml-Quiet">{jobs.lacks}</p>}
    </>
  );
}

function Detail(props: {
  requests: readonly RequestView[];
}): React.JSX.Element {
  const { trans } = useSection();
  const { goToCell, canOpen } = usePage();
  const count = (tokens: number | null): string =>
    tokens === null ? '' : formatCount(tokens);
  return (
    <Table
      label={trans.__('Latest requests')}
      numbers
      words={[1, 2, 8, 12, 13]}
      head={[
        trans.__('At'),
        trans.__('Deployment'),
        trans.__('Ended'),
        trans.__('Input'),
        trans.__('Cached'),
        trans.__('Written to cache'),
        trans.__('Output'),
        trans.__('Reasoning'),
        trans.__('Usage'),
        trans.__('First token'),
        trans.__('Took'),
        trans.__('Cost'),
        trans.__('Price'),
        trans.__('From')
      ]}
      rows={props.requests.map(request => {
        const { notebook, cost_pico: cost } = request;
        return {
          key: request.id,
          cells: [
            formatTime(request.at) ?? request.at,
            request.target === 'r1'
              ? request.deployment
              : `${request.deployment} · ${request.target}`,
            request.state === 'open'
              ? trans.__('Under way')
              : endedWord(request, trans),
            count(request.input_tokens),
            count(request.cached_tokens),
            count(request.cache_write_tokens),
            count(request.output_tokens),
            count(request.reasoning_tokens),
            request.hit ? trans.__('from the cache') : request.usage,
            request.first_token_ms === null
              ? ''
              : formatLatency(request.first_token_ms, trans),
            formatLatency(request.duration_ms, trans),
            cost === null ? trans.__('unknown') : formatMoney(BigInt(cost)),
            request.price,
            notebook !== null && canOpen(notebook) ? (
              <Go key="go" onClick={() => goToCell(notebook, request.cell_id)}>
                {groupName(notebook, 'notebook', trans)}
              </Go>
            ) : (
              (notebook ?? '')
            )
          ]
        };
      })}
    />
  );
}

/** Hand the table over as a file. */
function save(costs: Costs): void {
  const blob = new Blob([csvOf(costs.by, costs.rows)], { type: 'text/csv' });
  const address = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = address;
  link.download = `cost-by-${costs.by}.csv`;
  link.click();
  // The browser has taken it by the next turn.
  setTimeout(() => URL.revokeObjectURL(address), 0);
}
