"""Hindustani raga: 300 recordings, 10 of each of 30 ragas.

Ragas by id: sankalpg/MelodicAnalysisDatasets at 3b083ba, ``RagaDataset/Hindustani/_info_``: ``path_mbid_ragaid.json``
with the names of ``ragaId_to_ragaName_mapping.json``. Counting gives 10 recordings of each, as published.
"""

from __future__ import annotations

from .compmusic.raga import Half

HALF = Half(
    tradition="Hindustani",
    ragas={
        "f6432fec-e9c2-4b09-9e73-c46086cbd8ea": "Ahira bhairav",
        "2ed9379f-14c9-49af-8e4d-f9b63e96801f": "Alahaiyā bilāval",
        "b143adaa-f1a6-4de4-8985-a5bd35e96279": "Bairāgi",
        "ecd04ceb-b46c-47fc-9045-84ac9160e527": "Basant",
        "1e7de02f-e77f-405a-a033-f31117aaf955": "Bhairav",
        "e771a74d-545d-41d5-816b-43403a818b0c": "Bhūp",
        "a7d98897-e2fe-4d75-b9dc-e5b4dc88e1c6": "Bihāg",
        "dd59147d-8775-44ff-a36b-0d9f15b31319": "Bilāsakhānī tōḍī",
        "7591faad-e68a-4550-b675-8082842c6056": "Bāgēśrī",
        "118401e7-8de8-4d81-9d8e-8070889e3fa8": "Darbāri",
        "62b79291-73b0-4c77-a353-0f8bc6ed8362": "Dēś",
        "ba3242d0-8d40-4d93-865e-d2e2497ea2a8": "Gauḍ malhār",
        "595de771-fcc2-414c-9df6-ae4ffd898549": "Hamsadhvāni",
        "063ea5a0-23b1-4bb5-8537-3d924fe8ebb3": "Jōg",
        "93c73081-bdf8-4eca-b325-d736b71e9b4b": "Khamāj",
        "a9ee554f-f146-43e9-b2d0-9bb31fd4b57d": "Kēdār",
        "a99e07d5-20a0-467b-8dcd-aa5a095177fd": "Lalit",
        "0b3bbf97-0ec3-41da-add4-722d87329ec3": "Madhukauns",
        "290674e0-d94c-41c1-ad99-f65fa22a1447": "Madhuvanti",
        "1b05a564-059f-445b-b325-cf26318367e3": "Miyān malhār",
        "64e5fb9e-5569-4e80-8e6c-f543af9469c7": "Mālkauns",
        "3eb7ba30-4b94-432e-9618-875ee57e01ab": "Mārvā",
        "54c4214c-05b9-4acc-8f77-6d5786e43a2e": "Mārūbihāg",
        "fa28470c-d413-44c7-94da-181f530cbfdd": "Puriyā dhanaśrī",
        "f7fddfc0-8c1d-4dd2-90d5-5d51a99d61f8": "Rāgēśrī",
        "6f13484e-6fdd-402d-baf3-3835835454d0": "Tōḍī",
        "48b37bed-e847-4882-8a01-5c721e07f07d": "Yaman kalyāṇ",
        "d9c603fa-875f-4b84-b851-c6a345427898": "Ābhōgī",
        "46997b02-f09c-4969-8138-4e1861f61967": "Śrī",
        "40dbe1db-858f-4366-bef8-9076eb67340d": "Śuddh sāraṅg",
    },
    lists=(94539, "f6fec1f72e1c412c291dba8b02991e86686ad4894fd89a32364e0517c53fd842"),
    draw="c511c61e8f2a4868ddde9164578a707b8fc345ec7751237194d241a7959df5a6",
    has_works=False,
)
SUPPORT = (
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 4, 2, 2, 2, 2, 2,
)  # fmt: skip
"""Recordings in the test split of our draw, in the order of their labels."""

TASK = HALF.task(
    1392.0,  # 116 h by the publisher.
    {"train": 212, "valid": 27, "test": 61},
    SUPPORT,
    ("`--split performer-safe` keeps the 56 artists apart; the list names no compositions, so `work-safe` is none.",),
)
