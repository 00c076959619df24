"""Check and audit a reward program, then look at what a recorded search found; needs no key.

Run: python examples/04_author_a_reward.py
"""

from densegym.agents.authoring.folder import find_record, list_records, read_config, read_rows
from densegym.agents.authoring.search import audit_program, prepare
from densegym.envs.tasks import task_card
from densegym.reward_models.authored.search.judge import ProgramJudge
from densegym.reward_models.authored.search.summary import running_best, summarise

ENV = "DenseGym/ButtonPress-v0"
PROGRAM = """
def compute_reward(hand_position, prev_hand_position, object_position, goal_position):
    before = np.linalg.norm(prev_hand_position - object_position, axis=1)
    after = np.linalg.norm(hand_position - object_position, axis=1)
    reach = 10.0 * (before - after)
    pressed = 100.0 * (object_position[:, 1] == goal_position[:, 1])
    return reach + pressed, {"reach": reach, "pressed": pressed}
"""

bank = prepare(ENV)  # labelled trajectories, collected once a task
print(f"{len(bank.trajectories)} trajectories, {int(bank.success().sum())} of them successful")

with ProgramJudge(task_card(ENV), bank) as judge:
    judged = judge(PROGRAM)
print(f"status {judged.status}, isolation {judged.isolation}, AUC {judged.screen.get('auc')}")

# Floats are never equal: the second term of this program is dead, and the audit says so.
for finding in audit_program(PROGRAM, ENV, bank).findings:
    print(f"{finding.term or 'whole reward'}: {finding.kind}: {finding.advice}")

for name, config, model in list_records():
    rows = read_rows(find_record(name))
    told = summarise(rows, config.steps)
    who = model or "no model"
    print(f"{name}: {told['candidates']} candidates by {who}, best {told['winner']}")
    print("  best F after each candidate:", [round(value, 2) for value in running_best(rows)])
    assert read_config(find_record(name)).task == config.task
