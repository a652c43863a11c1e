"""Carnatic raga: 480 recordings, 12 of each of 40 ragas.

Ragas by id: sankalpg/MelodicAnalysisDatasets at 3b083ba, ``RagaDataset/Carnatic/_info_``: ``path_mbid_ragaid.json``
with the names of ``ragaId_to_ragaName_mapping.json``. Counting gives 12 recordings of each, as published.
"""

from __future__ import annotations

from .compmusic.raga import Half

HALF = Half(
    tradition="Carnatic",
    ragas={
        "6345e8fe-7061-4bdc-842c-dcfd4a379820": "Aṭāna",
        "700e1d92-7094-4c21-8a3b-d7b60c550edf": "Behāg",
        "123b09bd-9901-4e64-a65a-10b02c9e0597": "Bhairavi",
        "2165542c-45da-4301-af82-c2e7ddbe4768": "Bilahari",
        "aa5f376f-06cd-4a69-9cc9-b1077104e0b0": "Bēgaḍa",
        "5ce23030-f71d-4f5d-9d76-f91c2c182392": "Dhanyāsi",
        "defad4cc-48aa-4372-a31a-c43624930713": "Dēvagāndhāri",
        "e5c4d94a-b34a-42ef-acd7-f235612350e4": "Gauḷa",
        "b08475a2-1049-433a-be8f-105bf14718fb": "Harikāmbhōji",
        "50bd048f-4482-4c5b-850c-9ad5e5ec46f1": "Hussēnī",
        "bf4662d4-25c3-4cad-9249-4de2dc513c06": "Kalyāṇi",
        "a4ec6633-1050-4207-8313-b017194c8fa0": "Kamās",
        "f972db4d-5d16-4f9a-9841-f313e1601aaa": "Karaharapriya",
        "85ccf631-4cdf-4f6c-a841-0edfcf4255d1": "Kāmavardani",
        "9a071e54-3eed-48b2-83a3-1a3fd683b8e0": "Kānaḍa",
        "09c179f3-8b19-4792-a852-e9fa0090e409": "Kāpi",
        "f0866e71-33b2-47db-ab75-0808c41f2401": "Kāṁbhōji",
        "df85a0a5-b1a8-42f1-a87b-3d7c7ee33fb4": "Kēdāragauḷa",
        "18b1acb9-dff6-47ec-873a-b2086c8d268d": "Madhyamāvati",
        "978f4c3c-6a12-43fd-8427-c414ee17b252": "Mukhāri",
        "9cedca68-4a9d-4170-bec3-0d1db1ff730e": "Māyāmāḷavagauḷa",
        "39821826-3327-41d7-9cd5-e22fe7b08360": "Mōhanaṁ",
        "9ebeb536-30a7-403f-8042-f7c1445c4b87": "Nāṭa",
        "cda9cbe9-c1aa-42bb-8b4c-e9dfc8af133c": "Nāṭakurinji",
        "db085e26-665d-4f4c-a2a5-95251c22b69e": "Pūrvīkaḷyāṇi",
        "4ce0b18d-f4df-41cf-9b40-9166199506b4": "Rītigauḷa",
        "993d6cf6-dc89-4d23-9a9f-8eeed1524872": "Sahānā",
        "3af5a361-923a-465d-864d-9c7ba0c04a47": "Sencuruṭṭi",
        "98d46d9e-5100-4f24-bcd4-d0f95966c7cb": "Sindhubhairavi",
        "839bb6b4-1577-4a78-9e5d-4906c6453274": "Suraṭi",
        "c6b5f8d9-ebb4-46af-a020-6646fce2c77d": "Sāma",
        "a47e9d22-847a-46e8-b589-2a3537789f5f": "Sāvēri",
        "a9413dff-91d1-4e29-ad92-c04019dce5b8": "Tōḍi",
        "e8a0bf54-13c6-4a09-922a-bfc744ddf38a": "Varāḷi",
        "ddff55ae-20f6-4d7d-ba9e-a6c10eeebd41": "Yadukula kāṁbōji",
        "e18fcaa7-1f9c-4f09-b627-0687481f4ec7": "Ānandabhairavi",
        "a2f9f182-0ceb-4531-b286-b840b47a54b8": "Śankarābharaṇaṁ",
        "bdd80890-44f1-4a93-8d93-06a418781f97": "Śrī",
        "42dd0ccb-f92a-4622-ae5d-a3be571b4939": "Śrīranjani",
        "0277eae5-3411-4b22-9fa8-1b347e7528d1": "Ṣanmukhapriya",
    },
    lists=(139347, "397bb483d0b606a51c7e7a86bc2be0f0f51088f3f82d5d1d50a0840d2b7e0c9c"),
    draw="cf3bed6d7d8949372769bed6e255822fd97282413748304b0ec7df4d1fb3172b",
    has_works=True,
)
SUPPORT = (
    2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 2, 3, 2, 2, 2, 2, 3, 2, 2,
    5, 2, 2, 2, 3, 2, 3, 3, 2, 3, 3, 3, 3, 2, 3, 2, 2, 3, 2, 4,
)  # fmt: skip
"""Recordings in the test split of our draw, in the order of their labels."""

TASK = HALF.task(
    930.0,  # 124 h by the publisher.
    {"train": 342, "valid": 41, "test": 97},
    SUPPORT,
    (
        "A composition has one raga, so a model may know the piece instead: `--split work-safe` keeps the 427 names of "
        "works apart (spellings are the publisher's: a work spelt in two ways counts twice), `performer-safe` the 64 "
        "artists.",
    ),
)
