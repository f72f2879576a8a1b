"""The steps of an episode: each looks at what is and does the one thing that is due, effect and decision at once.

An effect and the decision that explains it are written in one transaction that also checks the controller's fence.
So a step is done once or not at all, and after a crash anywhere the next look finds what is left to do.
"""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from penstock.core import failpoints
from penstock.core.errors import CorruptDataError, InvalidInputError, NotFoundError
from penstock.core.ids import ReportId
from penstock.core.project.types import Project
from penstock.evaluation.evaluate import Evaluation, load_evaluation
from penstock.evaluation.gates import judge
from penstock.evaluation.types import Verdict
from penstock.loop.probing.prober import Prober
from penstock.loop.retraining.types import Standing
from penstock.loop.retraining.weighing import advise
from penstock.loop.rollouts import RolloutWatch
from penstock.loop.service import lease_name
from penstock.loop.sources import LoopSources
from penstock.loop.triggers import Waiting, wait_for_run
from penstock.loop.types import Episode, EpisodeState, Seen
from penstock.pipelines.types import CandidateRecord, RowSpan, read_version
from penstock.registry.types import CHALLENGER, CHAMPION, ModelVersion
from penstock.serving.strategies import plan_rollout, read_terms
from penstock.serving.types import Fence, Revision, Rollout
from penstock.storage.transaction import Transaction
from penstock.tracking.types import RunStatus

Effect = Callable[[Transaction], Episode]  # does the work in the transaction; the episode as it is afterwards


class EpisodeSteps:
    """Takes the steps of one project's episodes.

    Args:
        sources: the services.
        project: whose episodes.
        watch: judges its rollouts.
        prober: knows whether a retrain would help.
    """

    def __init__(self, sources: LoopSources, project: Project, watch: RolloutWatch, prober: Prober) -> None:
        self._sources = sources
        self._project = project
        self._name = project.name
        self._watch = watch
        self._prober = prober

    def take(self, episode: Episode, seen: Seen, fence: int) -> Waiting | None:
        """Take the step that is due; None when one was taken, else what the episode waits for.

        Raises:
            ConflictError: the lease was lost, or a person acted meanwhile; look again.
            UnavailableError: try again later.
        """
        try:
            if episode.state == "opened":
                return self._begin(episode, fence)
            if episode.state == "probing":
                return self._weigh(episode, fence)
            if episode.state == "training":
                return self._register(episode, fence)
            if episode.state == "judging":
                return self._judge(episode, fence)
            return self._release(episode, seen, fence)
        except (InvalidInputError, NotFoundError, CorruptDataError) as error:  # it would fail again and again
            return self._fail(episode, str(error), {}, fence)

    def _begin(self, episode: Episode, fence: int) -> Waiting | None:
        """Ask first whether a retrain would help, where the project wants to know and a person has not said so."""
        if self._project.retrain.strategy != "auto" or episode.trigger == "manual":
            return self._train(episode, "", {}, None, fence)
        obstacle = self._prober.find_obstacle()
        if obstacle:
            return self._train(episode, f"nothing can be tried before, as {obstacle}", {}, None, fence)
        told = "it is asked first whether a retrain would help, and on which rows"
        after: EpisodeState = "probing"
        return self._decide(episode, lambda tx: replace(episode, state=after), "probe", told, {}, fence)

    def _weigh(self, episode: Episode, fence: int) -> Waiting | None:
        standing = self._prober.take(fence)
        if not isinstance(standing, Standing):
            return standing
        advice = advise(standing, self._prober.rule)
        evidence = {
            "champion": standing.version,
            "chosen": advice.contender,
            "cost_so_far": round(standing.case.lost.total, 6),
            "worth_from": self._prober.rule.cost,
            "probed": standing.newest,
        }
        if not advice.helps:
            return self._refuse(episode, advice.reason, evidence, fence, action="decline")
        version = read_version(advice.contender)
        if version is not None:
            return self._recall(episode, version, advice.reason, evidence, fence)
        return self._train(episode, advice.reason, evidence, advice.span, fence)

    def _train(
        self, episode: Episode, why: str, evidence: dict[str, Any], rows: RowSpan | None, fence: int
    ) -> Waiting | None:
        # Where a history is replayed, rows after this moment are not known yet.
        until = episode.as_of

        def effect(tx: Transaction) -> Episode:
            run = self._sources.pipelines.request_run.join(
                tx, self._name, params=episode.params, reason=episode.reason, episode=episode.id, until=until, rows=rows
            )
            return replace(episode, state="training", run_id=run.id)

        evidence = evidence | {"params": episode.params, "until": until, "rows": rows}
        told = f"a run of {self._project.pipeline.entry} is asked for{f': {why}' if why else ''}"
        return self._decide(episode, effect, "train", told, evidence, fence)

    def _recall(self, episode: Episode, version: int, why: str, evidence: dict[str, Any], fence: int) -> Waiting | None:
        """Release a version that there is already, as it was good enough once and is better now."""

        def effect(tx: Transaction) -> Episode:
            reason = f"episode {episode.number}"
            registry = self._sources.registry
            registry.move_alias.join(tx, self._name, CHALLENGER, version, reason, (str(episode.ref),))
            return replace(episode, state="releasing", version=version)

        return self._decide(episode, effect, "recall", f"what was comes again: {why}", evidence, fence)

    def _register(self, episode: Episode, fence: int) -> Waiting | None:
        if episode.run_id is None:
            raise InvalidInputError(f"episode {episode.id} is training and has no run")
        run = self._sources.pipelines.get_run(episode.run_id)
        if not run.status.is_terminal:
            return wait_for_run(run)
        if run.status is not RunStatus.FINISHED or run.candidate is None:
            return self._fail(episode, run.error or "the run ended without a candidate", {"run": run.id}, fence)
        candidate = run.candidate

        def effect(tx: Transaction) -> Episode:
            registry = self._sources.registry
            made = registry.register.join(
                tx, self._name, run.id, candidate.model, candidate.info, candidate.reference, candidate.report_id
            )
            self._sources.trust.trust_own.join(tx, candidate.model, candidate.info.flavor, run.id)
            reason = f"episode {episode.number}"
            registry.move_alias.join(tx, self._name, CHALLENGER, made.version, reason, (str(episode.ref),))
            return replace(episode, state="judging", version=made.version)

        evidence = {"run": run.id, "model": candidate.model, "report": candidate.report_id}
        return self._decide(
            episode, effect, "register", f"run {run.id} made a candidate; it is the challenger", evidence, fence
        )

    def _judge(self, episode: Episode, fence: int) -> Waiting | None:
        version, champion = self._get_version(episode), self._find_champion()
        if champion is not None and champion.tree == version.tree:
            reason = f"the candidate is, byte for byte, the champion (version {champion.version}): nothing was learned"
            return self._refuse(episode, reason, {"champion": champion.version, "model": version.tree}, fence)
        fallen = self._find_fallen(version)
        if fallen is not None:
            reason = (
                f"the candidate is, byte for byte, version {fallen.version}, which was "
                f"{fallen.state.replace('_', ' ')}; `penstock deploy {version.version}` releases it all the same"
            )
            return self._refuse(episode, reason, {"revision": fallen.number, "model": version.tree}, fence)
        problem, verdict = self._reach_verdict(episode, version, champion)
        if verdict is None:
            return self._fail(episode, problem, {"champion": champion.version if champion else None}, fence)
        evidence = _describe(verdict) | {"champion": champion.version if champion else None}

        def effect(tx: Transaction) -> Episode:
            self._sources.evaluation.record_verdict.join(tx, verdict)
            if not verdict.passed:
                self._resolve(tx, episode, f"episode {episode.number} refused its candidate: {verdict.summary}")
            return replace(episode, state="releasing" if verdict.passed else "refused")

        return self._decide(episode, effect, "pass" if verdict.passed else "refuse", verdict.summary, evidence, fence)

    def _find_fallen(self, version: ModelVersion) -> Revision | None:
        """The revision in which this very model was taken out of the traffic, if that is the last it was in."""
        if self._sources.serving.find_deployment(self._name) is None:
            return None
        revisions = self._sources.serving.list_revisions(self._name)
        last = next((held for held in revisions if held.tree == version.tree), None)
        return last if last is not None and last.state in ("rolled_back", "aborted") else None

    def _reach_verdict(
        self, episode: Episode, version: ModelVersion, champion: ModelVersion | None
    ) -> tuple[str, Verdict | None]:
        """The verdict; or why there can be none. An unknown never becomes a release."""
        record = self._get_candidate(episode)
        candidate = self._read_evaluation(record.report_id)
        if candidate.report.model != version.tree:
            return f"report {record.report_id} is about another model than version {version.version}", None
        if champion is None:
            return "", judge(self._project.gates, candidate)
        if record.champion_report_id is None:
            why = f": {record.champion_error}" if record.champion_error else ""
            return f"the champion (version {champion.version}) was not measured on the same rows{why}", None
        present = self._read_evaluation(record.champion_report_id)
        if present.report.model != champion.tree:
            reason = (
                f"the champion changed while the candidate was trained: version {champion.version} was not measured "
                "on the same rows; run again"
            )
            return reason, None
        return "", judge(self._project.gates, candidate, present)

    def _release(self, episode: Episode, seen: Seen, fence: int) -> Waiting | None:
        if episode.rollout_id is None:
            return self._deploy(episode, fence)
        rollout = self._sources.serving.get_rollout(episode.rollout_id)
        if rollout.state == "promoted":  # by a person
            if not self._sources.loop.db.read(self._is_live, rollout):
                reason = f"version {episode.version} was promoted, and taken out of the traffic again"
                return self._refuse(episode, reason, {"rollout": rollout.id}, fence)
            self._sources.loop.db.write(self._promote, episode, fence)
            return None
        if rollout.state == "aborted":
            told = rollout.events[-1].reason if rollout.events else ""
            reason = f"the rollout was aborted{f': {told}' if told else ''}"
            return self._refuse(episode, reason, {"rollout": rollout.id}, fence)
        return self._move_rollout(episode, rollout, seen, fence)

    def _deploy(self, episode: Episode, fence: int) -> Waiting | None:
        version, champion = self._get_version(episode), self._find_champion()
        passed = self._sources.loop.get_episode(episode.id).decisions[-1].evidence
        if passed.get("champion") != (champion.version if champion else None):
            return self._fail(episode, "the champion changed after the gates were judged; run again", {}, fence)
        live = self._sources.serving.find_deployment(self._name)
        if live is not None and live.rollout is not None:
            return Waiting(f"rollout {live.rollout}, which somebody else started, to end")
        deploy = self._project.deploy
        first = live is None or live.stable is None
        strategy = "direct" if first else deploy.strategy

        planned = plan_rollout(strategy, deploy.steps, deploy.share, deploy.decide, deploy.key)

        def effect(tx: Transaction) -> Episode:
            rollout = self._sources.serving.deploy.join(
                tx,
                self._name,
                self._name,
                version.version,
                strategy=strategy,
                **read_terms(deploy),
                reason=f"episode {episode.number}",
                fence=self._fence(fence),
            )
            return replace(episode, rollout_id=rollout.id)

        told = "the first release takes all traffic" if first else f"released by {strategy}"
        evidence = {"version": version.version, "strategy": strategy, "steps": planned.steps}
        return self._decide(episode, effect, "deploy", told, evidence, fence)

    def _move_rollout(self, episode: Episode, rollout: Rollout, seen: Seen, fence: int) -> Waiting | None:
        judgement = self._watch.judge(rollout, seen)
        if judgement.decision == "hold":
            return Waiting(f"rollout {rollout.place}: {judgement.reason}")
        evidence = {"rollout": rollout.id, "share": rollout.share, **judgement.evidence}
        serving, lease = self._sources.serving, self._fence(fence)
        if judgement.decision == "advance":

            def advance(tx: Transaction) -> Episode:
                serving.advance.join(tx, rollout.id, lease, evidence, judgement.reason, rollout.step)
                return episode

            return self._decide(episode, advance, "advance", judgement.reason, evidence, fence)

        def abort(tx: Transaction) -> Episode:
            serving.abort.join(tx, rollout.id, judgement.reason, lease, evidence)
            self._resolve(tx, episode, f"episode {episode.number} aborted its rollout: {judgement.reason}")
            return replace(episode, state="refused")

        return self._decide(episode, abort, "abort", judgement.reason, evidence, fence)

    def _promote(self, tx: Transaction, episode: Episode, fence: int) -> None:
        """Crown the version once it answers all requests; in the same transaction as what made it so."""
        if episode.rollout_id is None or episode.state != "releasing":
            return
        rollout = self._sources.serving.get_rollout.join(tx, episode.rollout_id)
        if rollout.state != "promoted" or not self._is_live(tx, rollout):
            return
        registry, version = self._sources.registry, episode.version or 0
        rests_on = (str(episode.ref), str(rollout.ref), *self._find_verdict(tx, version))
        registry.move_alias.join(tx, self._name, CHAMPION, version, f"episode {episode.number}", rests_on)
        registry.remove_alias.join(tx, self._name, CHALLENGER, f"episode {episode.number} promoted it", rests_on)
        for alert in self._sources.monitoring.list_alerts.join(tx, self._name, "open"):
            told = f"episode {episode.number} promoted version {version}"
            self._sources.monitoring.resolve_alert.join(tx, alert.id, told, self._event_time(tx))
        reason, evidence = (
            f"version {version} answers all requests",
            {"rollout": episode.rollout_id, "version": version},
        )
        after = replace(episode, state="promoted")
        self._sources.loop.take_step.join(tx, episode, after, "promote", reason, evidence, fence)

    def _find_verdict(self, tx: Transaction, version: int) -> tuple[str, ...]:
        """What the gates said about a version last, for the history of its alias."""
        report = self._sources.registry.get_version.join(tx, self._name, version).report_id
        verdicts = [] if report is None else self._sources.evaluation.list_verdicts.join(tx, report)
        return tuple(str(verdict.ref) for verdict in verdicts[:1])

    def _is_live(self, tx: Transaction, rollout: Rollout) -> bool:
        stable = self._sources.serving.get_deployment.join(tx, rollout.deployment).stable
        return stable is not None and stable.number == rollout.revision

    def _refuse(
        self, episode: Episode, reason: str, evidence: dict[str, Any], fence: int, *, action: str = "refuse"
    ) -> Waiting | None:
        def effect(tx: Transaction) -> Episode:
            self._resolve(tx, episode, f"episode {episode.number} was refused: {reason}")
            return replace(episode, state="refused")

        return self._decide(episode, effect, action, reason, evidence, fence)

    def _fail(self, episode: Episode, reason: str, evidence: dict[str, Any], fence: int) -> Waiting | None:
        """End an episode that came to nothing; its alert stays open, as nothing was done about it."""
        ended: EpisodeState = "failed"
        return self._decide(episode, lambda tx: replace(episode, state=ended), "fail", reason, evidence, fence)

    def _decide(
        self, before: Episode, effect: Effect, action: str, reason: str, evidence: dict[str, Any], fence: int
    ) -> Waiting | None:
        loop = self._sources.loop

        def work(tx: Transaction) -> None:
            after = loop.take_step.join(tx, before, effect(tx), action, reason, evidence, fence)
            if after.state == "refused" and before.state != "probing":
                loop.forget_loss.join(tx, self._name)
            self._promote(tx, after, fence)

        loop.db.write(work)
        failpoints.hit("loop.after_decision")
        return None

    def _resolve(self, tx: Transaction, episode: Episode, reason: str) -> None:
        if episode.alert_id is not None:
            self._sources.monitoring.resolve_alert.join(tx, episode.alert_id, reason, self._event_time(tx))

    def _event_time(self, tx: Transaction) -> Any:
        return self._sources.predictions.watermark.join(tx, self._name)

    def _fence(self, fence: int) -> Fence:
        return Fence(lease_name(self._name), fence)

    def _get_version(self, episode: Episode) -> ModelVersion:
        if episode.version is None:
            raise InvalidInputError(f"episode {episode.id} is {episode.state} and has no model version")
        return self._sources.registry.get_version(self._name, episode.version)

    def _find_champion(self) -> ModelVersion | None:
        alias = self._sources.registry.find_alias(self._name, CHAMPION)
        return None if alias is None else self._sources.registry.get_version(self._name, alias.version)

    def _get_candidate(self, episode: Episode) -> CandidateRecord:
        record = self._sources.pipelines.get_run(episode.run_id).candidate if episode.run_id else None
        if record is None:
            raise InvalidInputError(f"episode {episode.id} is {episode.state} and its run has no candidate")
        return record

    def _read_evaluation(self, report_id: ReportId) -> Evaluation:
        return load_evaluation(self._sources.evaluation.get_report(report_id), self._sources.objects.get_bytes)


def _describe(verdict: Verdict) -> dict[str, Any]:
    return {
        "verdict": verdict.id,
        "report": verdict.report_id,
        "champion_report": verdict.champion_report_id,
        "gates": verdict.gates,
        "warnings": verdict.warnings,
    }
