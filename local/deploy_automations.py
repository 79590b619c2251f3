"""Deploys config/automations.yaml: each automation by its name, and the notification block that they tell.

In:   the file; the setting `TIDEOVER_NOTIFY_URL`; Prefect's server, with the deployments that the file names.
Out:  `Done` values; automations on the server. Whether one is switched on is never touched, and none is deleted.
Pure: no.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import BlockDocument
from prefect.events.actions import ActionTypes, ChangeFlowRunState, DoNothing, PauseDeployment, SendNotification
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger, Posture
from prefect.exceptions import ObjectNotFound
from prefect.types import SecretDict

from config.automation_files import AutomationForm, AutomationsForm, NotifyForm, PauseForm, StateForm, TriggerForm
from config.settings import settings
from local.deploy_memory import Memory, settle
from local.deploy_report import Done, How, said

# What the memory calls the block.
BLOCK: Final = "notification block"
WEBHOOK: Final = "custom-webhook"
# What a chat's incoming webhook reads, and any program.
WEBHOOK_BODY: Final = {"text": "{{subject}}\n{{body}}"}
UNTOLD: Final = "the automations tell nobody; make one of that name in the Prefect UI, or set TIDEOVER_NOTIFY_URL, and deploy again"


def automation_name(name: str) -> str:
    """As a deploy names an automation."""
    return f"automation {name!r}"


def deploy_automations(client: SyncPrefectClient, form: AutomationsForm, how: How) -> Iterator[Done]:
    """Apply the notification block and every automation.

    Args:
        client: Of Prefect's server, to which the deployments were deployed.
        form: The file.
        how: Dry run, restore, overwrite.
    """
    memory = Memory(client, "automations")
    block = yield from _block(client, form.notify_block, memory, dry_run=how.dry_run)
    if block is None and not (how.dry_run and settings().notify_url.get_secret_value()):
        yield Done(what=f"notification block {form.notify_block!r}", action="missing", because=UNTOLD)
    for one in form.automations:
        wanted = _wanted(client, one, block)
        found = next(iter(client.read_automations_by_name(one.name)), None)
        action = settle(
            _compared(wanted),
            None if found is None else _compared(found),
            memory.left.get(one.name),
            restore=how.restore,
            overwrite=automation_name(one.name) in how.overwrite,
        )
        if not how.dry_run:
            if action == "create":
                client.create_automation(wanted)
            elif action == "update" and found is not None:
                client.update_automation(found.id, wanted.model_copy(update={"enabled": found.enabled, "tags": found.tags}))
            if action in {"create", "update", "same"}:
                memory.note(one.name, _compared(wanted), _compared(client.read_automations_by_name(one.name)[0]))
        yield said(automation_name(one.name), action)
    named = {one.name for one in form.automations}
    for name in sorted(memory.left.keys() - named - {BLOCK}):
        if client.read_automations_by_name(name):
            yield said(automation_name(name), "left")
    if not how.dry_run:
        memory.write()


def _block(client: SyncPrefectClient, name: str, memory: Memory, *, dry_run: bool) -> Generator[Done, None, UUID | None]:
    """The block of that name, of whatever kind; made of the setting where there is none. Returns its id."""
    address = settings().notify_url.get_secret_value()
    found = _notification_block(client, name)
    if not address:
        return None if found is None else found.id
    has = None if found is None else _address(found)
    action = settle([address], None if found is None else [has], memory.left.get(BLOCK))
    # A block that operations made or changed, or deleted and did not make again, is theirs.
    if action in {"create", "update"} and not dry_run:
        # The address may hold a secret: it is kept where Prefect keeps secrets, and not shown.
        webhook = CustomWebhookNotificationBlock(
            name=name, url="{{address}}", json_data=WEBHOOK_BODY, secrets=SecretDict({"address": address})
        )
        webhook.save(name, overwrite=True)
        found = _notification_block(client, name)
        memory.note(BLOCK, [address], [address])
    if action != "same":
        yield said(f"notification block {name!r}", action)
    return None if found is None else found.id


def _notification_block(client: SyncPrefectClient, name: str) -> BlockDocument | None:
    for document in client.read_block_documents(include_secrets=True):
        if document.name == name and document.block_schema is not None and "notify" in document.block_schema.capabilities:
            return document
    return None


def _address(document: BlockDocument) -> Any:
    """Where the block sends: of one that we made the secret, of any other all that it holds."""
    secrets = document.data.get("secrets")
    ours = document.block_type is not None and document.block_type.slug == WEBHOOK and isinstance(secrets, dict)
    return secrets.get("address", document.data) if ours and isinstance(secrets, dict) else document.data


def _wanted(client: SyncPrefectClient, form: AutomationForm, block: UUID | None) -> AutomationCore:
    actions = [action for part in form.actions if (action := _action(client, part, block)) is not None]
    return AutomationCore(
        name=form.name,
        description=form.description,
        trigger=_trigger(form.trigger),
        actions=actions or [DoNothing()],
    )


def _trigger(form: TriggerForm) -> EventTrigger:
    return EventTrigger(
        posture=Posture(form.posture),
        after=set(form.after),
        expect=set(form.expect),
        match=_labels(form.match),
        match_related=_labels(form.match_related),
        for_each=set(form.for_each),
        threshold=form.threshold,
        within=timedelta(seconds=form.within),
    )


def _labels(labels: dict[str, str | tuple[str, ...]]) -> dict[str, str | list[str]]:
    return {label: value if isinstance(value, str) else list(value) for label, value in labels.items()}


def _action(client: SyncPrefectClient, form: NotifyForm | PauseForm | StateForm, block: UUID | None) -> ActionTypes | None:
    if isinstance(form, NotifyForm):
        return None if block is None else SendNotification(block_document_id=block, subject=form.subject, body=form.body)
    if isinstance(form, StateForm):
        return ChangeFlowRunState(state=form.state, message=form.message)
    if form.deployment is None:
        return PauseDeployment(source="inferred")
    try:
        return PauseDeployment(source="selected", deployment_id=client.read_deployment_by_name(form.deployment).id)
    except ObjectNotFound:
        return None  # operations deleted it, or it is a dry run on an empty server: there is nothing to pause


def _compared(automation: AutomationCore | Automation) -> dict[str, Any]:
    """What the file says of an automation; not whether it is switched on, nor what the server adds."""
    plain = automation.model_dump(mode="json", include={"description", "trigger", "actions"})
    return {
        **plain,
        "trigger": {key: sorted(value) if isinstance(value, list) else value for key, value in plain["trigger"].items() if key != "id"},
    }
