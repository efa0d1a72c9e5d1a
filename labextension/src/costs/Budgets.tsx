// Budgets with what their period has seen, and forms to set, change and remove them.

import React, { useState } from 'react';
import type { BudgetLine } from '../api/generated.js';
import { confirmed } from '../pages/confirmed.js';
import { usePage } from '../pages/context.js';
import { Act, Part, Refusal } from '../pages/parts.js';
import { useAction } from '../pages/useAction.js';
import { useSection } from '../sections/context.js';
import { useNow } from '../sections/useNow.js';
import { BudgetForm } from './BudgetForm.js';
import { SpentBar } from './SpentBar.js';
import { anewText, periodWord, scopeText, readUse } from './spent.js';

/** Which form is open: that of a new one, or of the one so named. */
type Open = { readonly name: string | null } | null;

export function Budgets(props: {
  budgets: readonly BudgetLine[];
  /** The deployment that all of them cover; null: these are all there are. */
  deployment: string | null;
}): React.JSX.Element {
  const { budgets, deployment } = props;
  const { trans, client } = useSection();
  const { reload } = usePage();
  const { busy, problem, act } = useAction();
  const now = useNow(false);
  const [open, setOpen] = useState<Open>(null);
  const close = (): void => setOpen(null);
  const remove = (name: string): Promise<boolean> =>
    act(async () => {
      const agreed = await confirmed({
        title: trans.__('Remove this budget?'),
        body: trans.__(
          '%1 will no longer hold anything back. What was spent stays known.',
          name
        ),
        keep: trans.__('Keep it'),
        go: trans.__('Remove budget')
      });
      if (agreed) {
        await client.call('budgets/remove', { name });
        reload();
      }
    });
  return (
    <Part
      title={trans.__('Budgets')}
      testid="snapml-budgets"
      aside={
        <Act
          onClick={() => setOpen(open?.name === null ? null : { name: null })}
          testid="snapml-budget-new"
        >
          {trans.__('New budget…')}
        </Act>
      }
    >
      {open?.name === null && (
        <BudgetForm known={null} deployment={deployment} onDone={close} />
      )}
      <Refusal problem={problem} />
      {budgets.length === 0 ? (
        <p className="snapml-Quiet">
          {deployment === null
            ? trans.__('None: nothing holds back what is spent.')
            : trans.__('None that counts all requests to it.')}
        </p>
      ) : (
        <ul
          className="snapml-Keys"
          role="list"
          aria-label={trans.__('Budgets')}
        >
          {budgets.map(line => (
            <li key={line.name} role="listitem" data-testid="snapml-budget">
              <div className="snapml-Key-head">
                <strong className="snapml-Key-name" dir="auto">
                  {line.name}
                </strong>
                <span className="snapml-Chip">
                  {periodWord(line.period, trans)}
                </span>
                <span className="snapml-Key-acts">
                  <button
                    type="button"
                    className="snapml-Link"
                    aria-expanded={open?.name === line.name}
                    aria-label={trans.__('Change the budget %1', line.name)}
                    data-testid="snapml-budget-change"
                    onClick={() =>
                      setOpen(
                        open?.name === line.name ? null : { name: line.name }
                      )
                    }
                  >
                    {trans.__('Change…')}
                  </button>
                  <button
                    type="button"
                    className="snapml-Link"
                    aria-disabled={busy}
                    aria-label={trans.__('Remove the budget %1', line.name)}
                    data-testid="snapml-budget-remove"
                    onClick={() => void remove(line.name)}
                  >
                    {trans.__('Remove…')}
                  </button>
                </span>
              </div>
              <div className="snapml-Row-message" dir="auto">
                {[scopeText(line, trans), anewText(line, now, trans)]
                  .filter(Boolean)
                  .join(' · ')}
              </div>
              <SpentBar
                label={trans.__('The budget %1', line.name)}
                use={readUse(line)}
              />
              {open?.name === line.name && (
                <BudgetForm
                  known={line}
                  deployment={deployment}
                  onDone={close}
                />
              )}
            </li>
          ))}
        </ul>
      )}
    </Part>
  );
}
