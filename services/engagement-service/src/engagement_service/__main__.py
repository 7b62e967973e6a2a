"""`python -m engagement_service api | worker | all | migrate | …`."""

from engagement_service.app import app

if __name__ == "__main__":
    app.main()
