// A form for a budget: a new one, or another limit for one there is.

import React, { useState } from 'react';
import type { BudgetLine } from '../api/generated.js';
import { usePage } from '../pages/context.js';
import { SelectField, TextField } from '../pages/Field.js';
import { Act, Refusal } from '../pages/parts.js';
import { useForm } from '../pages/useForm.js';
import { useSection } from '../sections/context.js';
import {
  type BudgetDraft,
  type BudgetField,
  draftOf,
  FIELDS,
  KINDS,
  kindWord,
  PERIODS,
  periodChoice,
  readBudget,
  subjectLabel
} from './budget.js';

export function BudgetForm(props: {
  /** The one to change; null: a new one. */
  known: BudgetLine | null;
  /** The deployment on whose page it stands: a new one is for it, or for all. */
  deployment: string | null;
  onDone: () => void;
}): React.JSX.Element {
  const { known, deployment, onDone } = props;
  const { trans, client } = useSection();
  const { reload } = usePage();
  const { frame, busy, faults, problem, send } = useForm<BudgetField>(FIELDS);
  const [draft, setDraft] = useState(() => draftOf(known, deployment));
  const set = (changes: Partial<BudgetDraft>): void =>
    setDraft({ ...draft, ...changes });
  const kinds = deployment === null || known !== null ? KINDS : KINDS_HERE;
  const make = (): void => {
    const asked = readBudget(draft, trans);
    void send(asked.faults, async () => {
      await client.call('budgets/set', asked.params);
      reload();
      onDone();
    });
  };
  return (
    <form
      ref={frame}
      className="snapml-Form"
      aria-label={
        known === null
          ? trans.__('New budget')
          : trans.__('Change the budget %1', known.name)
      }
      data-testid="snapml-budget-form"
      onSubmit={event => event.preventDefault()}
      onKeyDown={event => {
        if (event.key === 'Escape') {
          event.stopPropagation();
          onDone();
        }
      }}
    >
      <Refusal problem={problem} />
      <div className="snapml-Fields">
        <TextField
          label={trans.__('Name')}
          placeholder={trans.__('the team, nightly runs')}
          value={draft.name}
          fault={faults.name}
          maxLength={100}
          autoFocus={known === null}
          fixed={known !== null}
          testid="snapml-budget-name"
          onChange={name => set({ name })}
        />
        <TextField
          label={trans.__('May be spent')}
          placeholder="20"
          sign="$"
          number
          value={draft.dollars}
          fault={faults.dollars}
          autoFocus={known !== null}
          testid="snapml-budget-dollars"
          onChange={dollars => set({ dollars })}
        />
        <SelectField
          label={trans.__('Period (UTC)')}
          choices={PERIODS.map(each => [each, periodChoice(each, trans)])}
          value={draft.period}
          fault={faults.period}
          testid="snapml-budget-period"
          onChange={period => set({ period })}
        />
        <SelectField
          label={trans.__('Counts')}
          choices={kinds.map(each => [each, kindWord(each, trans)])}
          value={draft.kind}
          testid="snapml-budget-kind"
          onChange={kind => set({ kind })}
        />
        {draft.kind !== '' && (
          <TextField
            label={subjectLabel(draft.kind, trans)}
            value={draft.subject}
            fault={faults[draft.kind]}
            testid="snapml-budget-subject"
            onChange={subject => set({ subject })}
          />
        )}
      </div>
      <span className="snapml-Page-acts">
        <Act
          strong
          submit
          onClick={make}
          busy={busy}
          testid="snapml-budget-set"
        >
          {trans.__('Set budget')}
        </Act>
        <Act onClick={onDone}>{trans.__('Leave it')}</Act>
      </span>
    </form>
  );
}

/** On an endpoint's page what a budget may count is it, or all. */
const KINDS_HERE = ['model', ''] as const;
