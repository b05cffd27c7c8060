"""Holds the conversations of a file with AutoGen 0.2 as ConvoGen does: `auto` selection, one opener, no repeats.

    autogen_talk.py URL SITUATIONS TURNS
"""

import json
import sys

import autogen

url, situations, turns = sys.argv[1:]
config = {"config_list": [{"model": "demo", "api_key": "none", "base_url": url, "price": [0, 0]}], "cache_seed": None}
for line in open(situations):
    talk = json.loads(line)
    agents = []
    for person in talk["personas"]:
        own = [person["persona"], *(person[key] for key in ("stance", "goal", "knowledge") if person.get(key))]
        told = f"You are {person['name']}. {' '.join(own)} You talk with the others. Say one thing at a time, in at most 30 words."
        agents.append(autogen.ConversableAgent(person["name"].replace(" ", "_"), system_message=told,
                                               description=person["description"], llm_config=config, human_input_mode="NEVER"))
    opener = "\n".join([talk["topic"], talk["situation"], *(tie["text"] for tie in talk["relations"]), talk["conversation_starter"]])
    chat = autogen.GroupChat(agents=agents, messages=[], max_round=int(turns) + 1, speaker_selection_method="auto",
                             allow_repeat_speaker=False)
    host = autogen.UserProxyAgent("User_proxy", human_input_mode="NEVER", code_execution_config=False, llm_config=False)
    host.initiate_chat(autogen.GroupChatManager(chat, llm_config=config), message=opener)
