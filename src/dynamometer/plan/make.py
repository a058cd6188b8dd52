"""Campaign -> Plan, whole."""

from __future__ import annotations

from collections.abc import Mapping

from dynamometer.domain.campaign import Campaign
from dynamometer.domain.engine import Catalogue
from dynamometer.domain.plan import Facts, Plan, Suite, Warned
from dynamometer.plan.check import check
from dynamometer.plan.expand import expand
from dynamometer.plan.order import balanced_rows, order
from dynamometer.plan.unavailable import unavailable


def make_plan(campaign: Campaign, catalogue: Catalogue, suites: Mapping[str, Suite], facts: Facts) -> Plan:
    """Expand, check and order. The same value is printed by validate and by the dry run, stored, run and resumed.

    Raises CampaignError when the campaign is larger than its own limit.
    """
    checked = check(expand(campaign, catalogue, suites, facts.offers), campaign, facts)
    left_out = unavailable(campaign, checked.experiments, catalogue, dict(suites))
    return Plan(
        campaign=campaign,
        experiments=checked.experiments,
        runs=order(len(checked.experiments), campaign.cycles, campaign.order, campaign.seed),
        excluded=checked.excluded,
        warnings=(
            *checked.warnings,
            *skipped_files(facts),
            *campaign_warnings(campaign, len(checked.experiments)),
        ),
        unavailable=left_out,
    )


def campaign_warnings(campaign: Campaign, experiments: int) -> tuple[Warned, ...]:
    """Warnings that concern the campaign as a whole."""
    warnings = []
    if campaign.cycles < 3:
        warnings.append(
            Warned(
                name=campaign.name,
                reason=f"cycles: {campaign.cycles}; intervals need at least 3 (--cycles 3)",
            )
        )
    rows = balanced_rows(experiments) if experiments else 0
    if campaign.order == "balanced" and rows and campaign.cycles % rows:
        warnings.append(
            Warned(
                name=campaign.name,
                reason=f"order balanced needs a multiple of {rows} cycles for {experiments} experiments; "
                f"{campaign.cycles} leave places uneven",
            )
        )
    return tuple(warnings)


def skipped_files(facts: Facts) -> tuple[Warned, ...]:
    """Files beside the variants that could not be used: cut short, unreadable."""
    return tuple(Warned(name=name, reason=reason) for name, offer in facts.offers.items() for reason in offer.skipped)
