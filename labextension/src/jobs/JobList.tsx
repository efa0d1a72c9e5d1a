// The jobs as a list, steps nested under what submitted them.

import React, { useMemo } from 'react';
import type { JobView } from '../api/generated.js';
import { useSection } from '../sections/context.js';
import { JobRow } from './JobRow.js';
import { isLive } from './reconcile.js';
import { type Branch, choose, type Filter, grow, isWaiting } from './tree.js';
import { useNow } from '../sections/useNow.js';

export interface JobListProps {
  jobs: ReadonlyMap<string, JobView>;
  cancelling: ReadonlySet<string>;
  filter: Filter;
  /** Whether the jobs are current; clocks of a past state stand still. */
  current: boolean;
}

export function JobList(props: JobListProps): React.JSX.Element {
  const { jobs, filter, cancelling, current } = props;
  const { trans, visible } = useSection();
  const branches = useMemo(() => grow(jobs), [jobs]);
  const now = useNow(visible && current && branches.some(b => b.live));
  const shown = choose(branches, filter);
  if (shown.length === 0) {
    return (
      <p className="snapml-Quiet">
        {filter === 'live'
          ? trans.__('No job is live.')
          : trans.__('No job has ended yet.')}
      </p>
    );
  }
  return (
    <Branches
      branches={shown}
      now={now}
      cancelling={cancelling}
      label={trans.__('Jobs')}
      headed={shown.some(isWaiting)}
    />
  );
}

interface BranchesProps {
  branches: readonly Branch[];
  now: number;
  cancelling: ReadonlySet<string>;
  label: string;
  /** Whether what runs, waits and has ended stand below headings. */
  headed?: boolean;
}

function Branches(props: BranchesProps): React.JSX.Element {
  const { branches, now, cancelling, label, headed = false } = props;
  const { trans } = useSection();
  const part = (branch: Branch): string =>
    isWaiting(branch)
      ? trans.__('Waiting, next one first')
      : branch.live
        ? trans.__('Running')
        : trans.__('Ended');
  return (
    // Browsers drop the role of a list drawn without bullets.
    <ul className="snapml-Rows" role="list" aria-label={label}>
      {branches.map((branch, index) => {
        const begins =
          index === 0 || part(branches[index - 1]) !== part(branch);
        return (
          // One list, so that a row keeps its open log when it moves.
          <React.Fragment key={branch.job.id}>
            {headed && begins && (
              <li className="snapml-Part" aria-hidden>
                {part(branch)}
              </li>
            )}
            <BranchItem branch={branch} now={now} cancelling={cancelling} />
          </React.Fragment>
        );
      })}
    </ul>
  );
}

function BranchItem(props: {
  branch: Branch;
  now: number;
  cancelling: ReadonlySet<string>;
}): React.JSX.Element {
  const { branch, now, cancelling } = props;
  const { job, steps } = branch;
  const { trans } = useSection();
  return (
    <li role="listitem">
      <JobRow
        job={job}
        now={isLive(job) ? now : 0}
        cancelling={cancelling.has(job.id)}
      />
      {steps.length > 0 && (
        <Branches
          branches={steps}
          now={now}
          cancelling={cancelling}
          label={trans.__('Steps of %1', job.name)}
        />
      )}
    </li>
  );
}
